// Products of tiles of f16 rows with `wgmma`, for Hopper (sm_90a): what its kernels over scores share.
//
// A block multiplies 128 query rows with 256 gallery rows at a time. One thread of the third warpgroup has the copy engine
// bring boxes of 64 columns into a ring of stages; the other two warpgroups take 64 queries each, wait for stages and
// leave them on their own, so that one can count while the other multiplies. Query rows of up to 512 columns stay in
// shared memory for the whole sweep; longer ones come with each stage.
//
// The score of a pair is a pure function of its two rows: one accumulator, columns in ascending steps of 16 by one shape
// of instruction, columns beyond the row as zeros, which add nothing. `pair_scores` does the same steps. It need not be
// the score that `mma.sync` computes.

#pragma once

#include "hopper.cuh"
#include "tile.cuh"

constexpr u32 WIDE_TILE = 256;
constexpr u32 WIDE_TILE_BYTES = WIDE_TILE * ROW_BYTES;
// Two warpgroups that multiply, and one that loads.
constexpr u32 WARPGROUP = 128;
constexpr u32 SWEEP_THREADS = 3 * WARPGROUP;
constexpr u32 MAX_RESIDENT_BOXES = 8;
constexpr u32 MAX_STAGES = 6;
// Shared memory: boxes, barriers, and what is left for the scores' use.
constexpr u32 BOX_BYTES = 229376;
constexpr u32 BARRIER_BYTES = 128;
constexpr u32 EXTRA_BYTES = 2944;

using WideScores = ScoresOf<1, 32, 1>;

// The shared memory that a sweep leaves to `visit`, `EXTRA_BYTES` long.
inline u8* extra_memory() {
    return shared_memory() + BOX_BYTES + BARRIER_BYTES;
}

// Stages of boxes between the thread that loads and the eight warps that multiply, each of which goes round them at its own
// place. Boxes of queries that stay for the whole sweep lie before them.
struct Ring {
    u8* stages;
    u32 stage_bytes;
    u32 n_stages;
    u32 slot = 0;
    u32 parity = 0;

    // As many stages as fit beside `resident_bytes`. All threads of the block call this.
    Ring(u32 resident_bytes, u32 stage_bytes) : stages(shared_memory() + resident_bytes), stage_bytes(stage_bytes) {
        const u32 n_fitting = (BOX_BYTES - resident_bytes) / stage_bytes;
        n_stages = n_fitting < MAX_STAGES ? n_fitting : MAX_STAGES;
        if (threadIdx.x == 0) {
            for (u32 at = 0; at < n_stages; at++) {
                init_barrier(full(at), 1);
                init_barrier(empty(at), BLOCK_WARPS);
            }
            init_barrier(queries_there(), 1);
            publish_barriers();
        }
        sync_block();
    }

    static Barrier* full(u32 at) {
        return reinterpret_cast<Barrier*>(shared_memory() + BOX_BYTES) + at;
    }

    static Barrier* empty(u32 at) {
        return full(MAX_STAGES + at);
    }

    static Barrier* queries_there() {
        return full(2 * MAX_STAGES);
    }

    u8* stage(u32 at) const {
        return stages + at * stage_bytes;
    }

    // Starts to load `n_boxes` boxes of the queries from `first` on, which stay.
    static void load_queries(const TensorMap& queries, u64 first, u32 n_boxes) {
        arrive_expecting(queries_there(), n_boxes * TILE_BYTES);
        for (u32 box = 0; box < n_boxes; box++) {
            copy_box(shared_memory() + box * TILE_BYTES, queries, box * STAGE_COLUMNS, first, queries_there());
        }
    }

    // Waits until all warps have left the next stage, whose boxes may then be loaded.
    void wait_empty() const {
        wait_for_phase(empty(slot), parity ^ 1);
        arrive_expecting(full(slot), stage_bytes);
    }

    void wait_full() const {
        wait_for_phase(full(slot), parity);
    }

    // Leaves a stage for good; each warp once.
    static void leave(u32 at) {
        if (threadIdx.x % WARP == 0) {
            arrive(empty(at));
        }
    }

    void advance() {
        slot++;
        if (slot == n_stages) {
            slot = 0;
            parity ^= 1;
        }
    }
};

// The warpgroup, the same in all lanes, so that it is kept once for the warp. The third one loads.
inline u32 own_warpgroup() {
    return shuffle(threadIdx.x / WARPGROUP, 0u);
}

// Scores the queries from `first_query` on against a part of the gallery, and calls `visit(scores, first)` with each
// tile, whose first gallery row is `first`, in the first two warpgroups: each has 64 rows of the tile and may
// synchronise itself, but not the block. Boxes of the maps are [128 x 64] of queries and [256 x 64] of the gallery.
// Takes the first `BOX_BYTES + BARRIER_BYTES` of shared memory.
template <class Visit>
inline void sweep_wide(const TensorMap& queries, u64 first_query, const TensorMap& gallery, const Part& part, u32 stride,
                       Visit visit) {
    const u32 n_boxes = (stride + STAGE_COLUMNS - 1) / STAGE_COLUMNS;
    const bool resident = n_boxes <= MAX_RESIDENT_BOXES;
    const u32 resident_bytes = resident ? n_boxes * TILE_BYTES : 0;
    const u32 stage_bytes = resident ? WIDE_TILE_BYTES : WIDE_TILE_BYTES + TILE_BYTES;
    Ring ring(resident_bytes, stage_bytes);

    const u32 warpgroup = own_warpgroup();
    if (warpgroup == 2) {
        shrink_registers<40>();
        if (threadIdx.x == 2 * WARPGROUP) {
            if (resident) {
                Ring::load_queries(queries, first_query, n_boxes);
            }
            for (u32 tile = 0; tile < part.n_tiles; tile++) {
                for (u32 box = 0; box < n_boxes; box++) {
                    u8* stage = ring.stage(ring.slot);
                    Barrier* full = Ring::full(ring.slot);
                    ring.wait_empty();
                    copy_box(stage, gallery, box * STAGE_COLUMNS, part.first + tile * WIDE_TILE, full);
                    if (!resident) {
                        copy_box(stage + WIDE_TILE_BYTES, queries, box * STAGE_COLUMNS, first_query, full);
                    }
                    ring.advance();
                }
            }
        }
    } else {
        grow_registers<232>();
        const u64 queries_factor = factor(shared_memory() + warpgroup * (TILE_BYTES / 2));
        const u64 stages_factor = factor(ring.stages);
        if (resident) {
            wait_for_phase(Ring::queries_there(), 0);
        }
        WideScores scores;
        for (u32 tile = 0; tile < part.n_tiles; tile++) {
            hold(scores.at[0]);
            for (u32 box = 0; box < n_boxes; box++) {
                ring.wait_full();
                const u64 b = stages_factor + ring.slot * (stage_bytes / 16);
                const u64 a = resident ? queries_factor + box * (TILE_BYTES / 16)
                                       : b + (WIDE_TILE_BYTES + warpgroup * (TILE_BYTES / 2)) / 16;
                open_products();
#pragma unroll
                for (u32 step = 0; step < STAGE_COLUMNS / 16; step++) {
                    multiply_async(scores.at[0], a + 2 * step, b + 2 * step, (box | step) != 0);
                }
                close_products();
                wait_for_products();
                Ring::leave(ring.slot);
                ring.advance();
            }
            hold(scores.at[0]);
            visit(scores, part.first + static_cast<u64>(tile) * WIDE_TILE);
        }
    }
}
