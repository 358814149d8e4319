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

// A place in a ring of stages, and the parity of its phase.
struct Place {
    u32 slot = 0;
    u32 parity = 0;

    void advance(u32 n_stages) {
        slot++;
        if (slot == n_stages) {
            slot = 0;
            parity ^= 1;
        }
    }
};

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
    const u32 n_fitting = (BOX_BYTES - resident_bytes) / stage_bytes;
    const u32 n_stages = n_fitting < MAX_STAGES ? n_fitting : MAX_STAGES;
    u8* stages = shared_memory() + resident_bytes;
    Barrier* full = reinterpret_cast<Barrier*>(shared_memory() + BOX_BYTES);
    Barrier* empty = full + MAX_STAGES;
    Barrier* queries_there = empty + MAX_STAGES;

    if (threadIdx.x == 0) {
        for (u32 slot = 0; slot < n_stages; slot++) {
            init_barrier(full + slot, 1);
            init_barrier(empty + slot, BLOCK_WARPS);
        }
        init_barrier(queries_there, 1);
        publish_barriers();
    }
    sync_block();

    // The same in all lanes, so that it is kept once for the warp.
    const u32 warpgroup = shuffle(threadIdx.x / WARPGROUP, 0u);
    Place place;
    if (warpgroup == 2) {
        shrink_registers<40>();
        if (threadIdx.x == 2 * WARPGROUP) {
            if (resident) {
                arrive_expecting(queries_there, resident_bytes);
                for (u32 box = 0; box < n_boxes; box++) {
                    copy_box(shared_memory() + box * TILE_BYTES, queries, box * STAGE_COLUMNS, first_query,
                             queries_there);
                }
            }
            for (u32 tile = 0; tile < part.n_tiles; tile++) {
                for (u32 box = 0; box < n_boxes; box++) {
                    u8* stage = stages + place.slot * stage_bytes;
                    wait_for_phase(empty + place.slot, place.parity ^ 1);
                    arrive_expecting(full + place.slot, stage_bytes);
                    copy_box(stage, gallery, box * STAGE_COLUMNS, part.first + tile * WIDE_TILE, full + place.slot);
                    if (!resident) {
                        copy_box(stage + WIDE_TILE_BYTES, queries, box * STAGE_COLUMNS, first_query, full + place.slot);
                    }
                    place.advance(n_stages);
                }
            }
        }
    } else {
        grow_registers<232>();
        const bool first_lane = threadIdx.x % WARP == 0;
        const u64 queries_factor = factor(shared_memory() + warpgroup * (TILE_BYTES / 2));
        const u64 stages_factor = factor(stages);
        if (resident) {
            wait_for_phase(queries_there, 0);
        }
        WideScores scores;
        for (u32 tile = 0; tile < part.n_tiles; tile++) {
            hold(scores.at[0]);
            for (u32 box = 0; box < n_boxes; box++) {
                wait_for_phase(full + place.slot, place.parity);
                const u64 b = stages_factor + place.slot * (stage_bytes / 16);
                const u64 a = resident ? queries_factor + box * (TILE_BYTES / 16)
                                       : b + (WIDE_TILE_BYTES + warpgroup * (TILE_BYTES / 2)) / 16;
                open_products();
#pragma unroll
                for (u32 step = 0; step < STAGE_COLUMNS / 16; step++) {
                    multiply_async(scores.at[0], a + 2 * step, b + 2 * step, (box | step) != 0);
                }
                close_products();
                wait_for_products();
                if (first_lane) {
                    arrive(empty + place.slot);
                }
                place.advance(n_stages);
            }
            hold(scores.at[0]);
            visit(scores, part.first + static_cast<u64>(tile) * WIDE_TILE);
        }
    }
}
