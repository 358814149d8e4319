// Scores of a tile of pairs while they lie in registers, and which of them there are: what all kernels over scores share,
// whatever instructions made them.

#pragma once

#include "ptx.cuh"

// Warps of a block that hold scores.
constexpr u32 BLOCK_WARPS = 8;

inline float infinity() {
    return __uint_as_float(0x7f800000u);
}

// The lowest finite number.
inline float lowest() {
    return __uint_as_float(0xff7fffffu);
}

// A number that orders scores as unsigned integers do; 0 is below all.
inline u32 ordered_bits(float score) {
    const u32 bits = __float_as_uint(score + 0.0f); // one zero
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

// The score, or minus infinity for 0.
inline float from_ordered_bits(u32 ordered) {
    return ordered == 0 ? -infinity() : __uint_as_float(ordered >> 31 ? ordered & 0x7fffffffu : ~ordered);
}

// Keys of a list of the best items, and of the candidates for it.
constexpr u32 LIST = WARP;

// A number that orders scores, and equal ones by lower index; 0 is below all.
inline u64 make_key(float score, u32 item) {
    return static_cast<u64>(ordered_bits(score)) << 32 | static_cast<u32>(~item);
}

inline float key_score(u64 key) {
    return from_ordered_bits(static_cast<u32>(key >> 32));
}

// A thread's scores of a tile, of which each warp has `16 ROW_STEPS` rows and `8 COLUMN_STEPS` columns, and `WARPS_ACROSS`
// warps lie side by side. Score `[i][j][2h + c]` is that of the row `row(i, h)` and the column `column(j, c)`.
template <u32 ROW_STEPS, u32 COLUMN_STEPS, u32 WARPS_ACROSS>
struct ScoresOf {
    static constexpr u32 ROW_PARTS = ROW_STEPS;
    static constexpr u32 ROWS = BLOCK_WARPS / WARPS_ACROSS * 16 * ROW_STEPS;
    static constexpr u32 COLUMNS = WARPS_ACROSS * 8 * COLUMN_STEPS;

    float at[ROW_STEPS][COLUMN_STEPS][4];

    static u32 row(u32 i, u32 h) {
        const u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
        return warp / WARPS_ACROSS * (16 * ROW_STEPS) + 16 * i + 8 * h + lane / 4;
    }

    static u32 column(u32 j, u32 c) {
        const u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
        return warp % WARPS_ACROSS * (8 * COLUMN_STEPS) + 8 * j + 2 * (lane % 4) + c;
    }

    void clear() {
        each([](float& score, u32, u32, u32, u32) { score = 0.0f; });
    }

    // Calls `visit(score, i, h, j, c)` with each.
    template <class Visit>
    void each(Visit visit) {
#pragma unroll
        for (u32 i = 0; i < ROW_STEPS; i++) {
#pragma unroll
            for (u32 j = 0; j < COLUMN_STEPS; j++) {
#pragma unroll
                for (u32 h = 0; h < 2; h++) {
#pragma unroll
                    for (u32 c = 0; c < 2; c++) {
                        visit(at[i][j][2 * h + c], i, h, j, c);
                    }
                }
            }
        }
    }
};

// The rows of a gallery that a block meets.
struct Part {
    u64 first;
    u32 n_tiles;
};

// The block's chunk of `tiles_per_chunk` tiles of `N` rows, as far as there are rows: the grid's y counts chunks.
template <u32 N>
inline Part part_of_block(u32 n_rows, u32 tiles_per_chunk) {
    const u64 first = static_cast<u64>(blockIdx.y) * tiles_per_chunk * N;
    const u64 n_left = (n_rows - first + N - 1) / N;
    return {first, n_left < tiles_per_chunk ? static_cast<u32>(n_left) : tiles_per_chunk};
}

// How many of a tile's `N` rows from `first` on there are.
template <u32 N>
inline u32 rows_in_tile(u64 first, u32 n_rows) {
    const u64 n_left = n_rows - first;
    return n_left < N ? static_cast<u32>(n_left) : N;
}

// Sets the scores of rows and columns beyond the tile's to minus infinity.
template <class Scores>
inline void leave_out_beyond(Scores& scores, u32 n_rows, u32 n_columns) {
    if (n_rows < Scores::ROWS || n_columns < Scores::COLUMNS) {
        scores.each([&](float& score, u32 i, u32 h, u32 j, u32 c) {
            if (Scores::row(i, h) >= n_rows || Scores::column(j, c) >= n_columns) {
                score = -infinity();
            }
        });
    }
}

// Sets the scores of pairs whose ids agree to minus infinity, and returns how many of them this thread has. Both lists
// begin with the tile.
template <u32 ROW_STEPS, u32 COLUMN_STEPS, u32 WARPS_ACROSS>
inline u32 leave_out_same_ids(ScoresOf<ROW_STEPS, COLUMN_STEPS, WARPS_ACROSS>& scores, const u32* row_ids, u32 n_rows,
                              const u32* column_ids, u32 n_columns) {
    using Scores = ScoresOf<ROW_STEPS, COLUMN_STEPS, WARPS_ACROSS>;
    u32 n_left_out = 0;
#pragma unroll
    for (u32 j = 0; j < COLUMN_STEPS; j++) {
#pragma unroll
        for (u32 c = 0; c < 2; c++) {
            const u32 column = Scores::column(j, c);
            const u32 id = column < n_columns ? column_ids[column] : 0;
#pragma unroll
            for (u32 i = 0; i < ROW_STEPS; i++) {
#pragma unroll
                for (u32 h = 0; h < 2; h++) {
                    const u32 row = Scores::row(i, h);
                    if (row < n_rows && column < n_columns && row_ids[row] == id) {
                        scores.at[i][j][2 * h + c] = -infinity();
                        n_left_out++;
                    }
                }
            }
        }
    }
    return n_left_out;
}
