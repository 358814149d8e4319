// Products of tiles of f16 rows with `mma.sync`: what all kernels over scores share.
//
// A block multiplies 128 query rows with 128 gallery rows at a time. Eight warps take 64 x 32 scores each; 64 columns at
// a time are copied to shared memory asynchronously, some stages ahead, across the borders of tiles. Rows lie there in
// 128 bytes each, their 16-byte pieces permuted by the row so that no two lanes of a load meet in a bank.
//
// The score of a pair is a pure function of its two rows: one accumulator, columns in ascending steps of 16, columns
// beyond the row as zeros, which add nothing. `pair_score` in `similarity.cu` does the same steps.

#pragma once

#include "scores.cuh"

constexpr u32 TILE = 128;
constexpr u32 STAGE_COLUMNS = 64;
constexpr u32 ROW_BYTES = STAGE_COLUMNS * sizeof(u16);
constexpr u32 TILE_BYTES = TILE * ROW_BYTES;
constexpr u32 BLOCK_THREADS = BLOCK_WARPS * WARP;
// Rows, columns of a warp's part of a tile, and how many it has of the tiles [16 x 8] of one instruction.
constexpr u32 WARP_ROWS = 64;
constexpr u32 WARP_COLUMNS = 32;
constexpr u32 ROW_STEPS = WARP_ROWS / 16;
constexpr u32 COLUMN_STEPS = WARP_COLUMNS / 8;

// Rows `[n_rows, stride]` of f16 in global memory; `stride` is a multiple of 8, and columns beyond the rows' own are
// zero.
struct Rows {
    const u16* data;
    u32 n_rows;
    u32 stride;
};

// The 16-byte piece `piece` of a row of a stage.
inline u8* stage_piece(u8* stage, u32 row, u32 piece) {
    return stage + row * ROW_BYTES + (piece ^ (row % 8)) * 16;
}

// Starts to copy `N` rows from `first` on, 64 columns of them, by a block of `THREADS`. Rows and columns that are not
// there become zeros.
template <u32 N, u32 THREADS>
inline void load_stage(u8* stage, const Rows& rows, u64 first, u32 first_column) {
    // A thread copies the same piece of every `THREADS / 8`th row, which is a multiple of 8.
    constexpr u32 ROWS_AT_ONCE = THREADS / 8;
    const u32 piece = threadIdx.x % 8;
    const u32 column = first_column + piece * 8;
    u64 row = first + threadIdx.x / 8;
    const u16* from = rows.data + row * rows.stride + column;
    u8* to = stage_piece(stage, threadIdx.x / 8, piece);
#pragma unroll
    for (u32 i = 0; i < N / ROWS_AT_ONCE; i++) {
        const bool valid = row < rows.n_rows && column < rows.stride;
        copy_async(to, valid ? from : rows.data, valid);
        row += ROWS_AT_ONCE;
        from += static_cast<u64>(ROWS_AT_ONCE) * rows.stride;
        to += ROWS_AT_ONCE * ROW_BYTES;
    }
}

// Rows `row` to `row + 15` of a stage, columns `16 step` to `16 step + 15`, as the first factor.
inline void load_left(u32 (&a)[4], u8* stage, u32 row, u32 step) {
    const u32 lane = threadIdx.x % WARP;
    load_matrices(a, stage_piece(stage, row + lane % 16, 2 * step + lane / 16));
}

// Rows `row` to `row + 15` as two second factors: `b[0]` and `b[1]` are that of the first 8 rows.
inline void load_right(u32 (&b)[4], u8* stage, u32 row, u32 step) {
    const u32 lane = threadIdx.x % WARP;
    load_matrices(b, stage_piece(stage, row + lane / 16 * 8 + lane % 8, 2 * step + lane / 8 % 2));
}

struct Scores : ScoresOf<ROW_STEPS, COLUMN_STEPS, TILE / WARP_COLUMNS> {
    // Adds the products of 64 columns.
    void multiply(u8* queries, u8* gallery) {
        const u32 warp = threadIdx.x / WARP;
        const u32 first_row = warp / 4 * WARP_ROWS, first_column = warp % 4 * WARP_COLUMNS;
#pragma unroll
        for (u32 step = 0; step < STAGE_COLUMNS / 16; step++) {
            u32 b[COLUMN_STEPS / 2][4];
#pragma unroll
            for (u32 j = 0; j < COLUMN_STEPS / 2; j++) {
                load_right(b[j], gallery, first_column + 16 * j, step);
            }
#pragma unroll
            for (u32 i = 0; i < ROW_STEPS; i++) {
                u32 a[4];
                load_left(a, queries, first_row + 16 * i, step);
#pragma unroll
                for (u32 j = 0; j < COLUMN_STEPS; j++) {
                    mma_f16(at[i][j], a, b[j / 2][2 * (j % 2)], b[j / 2][2 * (j % 2) + 1]);
                }
            }
        }
    }
};

// Scores the queries from `first_query` on against a part of the gallery, and calls `visit(scores, first)` with each
// tile, whose first gallery row is `first`. Takes the block's first `STAGES * 2 * TILE_BYTES` bytes of shared memory.
// `visit` may synchronise the block; all threads call it together.
template <u32 STAGES, class Visit>
inline void sweep(const Rows& queries, u64 first_query, const Rows& gallery, const Part& part, Visit visit) {
    const u32 n_steps = (queries.stride + STAGE_COLUMNS - 1) / STAGE_COLUMNS;
    u64 next_item = part.first;
    u32 next_step = 0, next_slot = 0, tiles_to_load = part.n_tiles;
    auto load = [&] {
        if (tiles_to_load > 0) {
            u8* stage = shared_memory() + next_slot * 2 * TILE_BYTES;
            load_stage<TILE, BLOCK_THREADS>(stage, queries, first_query, next_step * STAGE_COLUMNS);
            load_stage<TILE, BLOCK_THREADS>(stage + TILE_BYTES, gallery, next_item, next_step * STAGE_COLUMNS);
            next_slot = next_slot + 1 == STAGES ? 0 : next_slot + 1;
            if (++next_step == n_steps) {
                next_step = 0;
                next_item += TILE;
                tiles_to_load--;
            }
        }
        close_copies();
    };
    for (u32 stage = 0; stage + 1 < STAGES; stage++) {
        load();
    }
    u32 slot = 0;
    Scores scores;
    for (u32 tile = 0; tile < part.n_tiles; tile++) {
        scores.clear();
        for (u32 step = 0; step < n_steps; step++) {
            wait_for_copies<STAGES - 2>();
            // Everyone's part of this stage is there, and everyone has left the stage that is loaded next.
            sync_block();
            load();
            u8* stage = shared_memory() + slot * 2 * TILE_BYTES;
            scores.multiply(stage, stage + TILE_BYTES);
            slot = slot + 1 == STAGES ? 0 : slot + 1;
        }
        visit(scores, part.first + static_cast<u64>(tile) * TILE);
    }
}
