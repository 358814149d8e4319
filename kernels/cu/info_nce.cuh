// InfoNCE over scores, whatever instructions made them: which keys take part, the survey of a query's scores, and the
// units in which weights are kept.

#pragma once

#include "scores.cuh"

// Which keys take no part.
struct LeaveOut {
    const u32* query_ids; // null: no ids
    const u32* key_ids;
    u32 in_batch;

    bool pair(u64 query, u64 key) const {
        return (in_batch && query == key) || (query_ids && query_ids[query] == key_ids[key]);
    }
};

// Columns of the sums of weighted keys that one block computes.
constexpr u32 SLICE = 256;
// What weights are multiplied by as f16: 1 becomes the largest power of two of that type, so that the smallest ones keep
// most of their digits.
constexpr float WEIGHT_UNIT = 32768.0f;
// What they are multiplied by in the sum of weights.
constexpr float SUM_UNIT = 1099511627776.0f;

// What a warp has seen: the sum of its scores, and the number of pairs that take no part.
struct WarpSurvey {
    double sum;
    u64 n_left_out;
};

// What a thread has seen of its queries' scores.
template <class Scores>
struct Survey {
    float largest[Scores::ROW_PARTS][2];
    double sum = 0.0;
    u32 n_left_out = 0;

    Survey() {
#pragma unroll
        for (u32 i = 0; i < Scores::ROW_PARTS; i++) {
            largest[i][0] = largest[i][1] = -infinity();
        }
    }

    // Adds a tile, of which what takes no part becomes minus infinity. Ids may be null.
    void meet(Scores& scores, u64 first_query, u32 n_queries, u64 first_key, u32 n_keys, const u32* query_ids,
              const u32* key_ids, bool in_batch) {
        const u32 n_rows = rows_in_tile<Scores::ROWS>(first_query, n_queries);
        const u32 n_columns = rows_in_tile<Scores::COLUMNS>(first_key, n_keys);
        leave_out_beyond(scores, n_rows, n_columns);
        if (query_ids) {
            n_left_out += leave_out_same_ids(scores, query_ids + first_query, n_rows, key_ids + first_key, n_columns);
        }
        if (in_batch && first_key < first_query + Scores::ROWS && first_query < first_key + Scores::COLUMNS) {
            scores.each([&](float& score, u32 i, u32 h, u32 j, u32 c) {
                const u32 row = Scores::row(i, h);
                if (first_query + row == first_key + Scores::column(j, c) && row < n_rows && score != -infinity()) {
                    score = -infinity();
                    n_left_out++;
                }
            });
        }
        float tile_sum = 0.0f;
        scores.each([&](float& score, u32 i, u32 h, u32, u32) {
            largest[i][h] = fmaxf(largest[i][h], score);
            tile_sum += score == -infinity() ? 0.0f : score;
        });
        sum += tile_sum;
    }

    // Raises `best [n_queries]` (ordered bits), and leaves what the warp has seen at its place in `warps
    // [grid y, grid x, 8]`.
    void finish(u64 first_query, u32 n_queries, u32* best, WarpSurvey* warps) {
        const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
#pragma unroll
        for (u32 i = 0; i < Scores::ROW_PARTS; i++) {
#pragma unroll
            for (u32 h = 0; h < 2; h++) {
                float row_largest = largest[i][h];
                row_largest = fmaxf(row_largest, shuffle_xor(row_largest, 1));
                row_largest = fmaxf(row_largest, shuffle_xor(row_largest, 2));
                const u64 row = first_query + Scores::row(i, h);
                if (lane % 4 == 0 && row < n_queries && row_largest != -infinity()) {
                    atomic_max(best + row, ordered_bits(row_largest));
                }
            }
        }
        for (u32 mask = WARP / 2; mask > 0; mask /= 2) {
            sum += shuffle_xor(sum, mask);
            n_left_out += shuffle_xor(n_left_out, mask);
        }
        if (lane == 0) {
            const u64 place = (static_cast<u64>(blockIdx.y) * gridDim.x + blockIdx.x) * BLOCK_WARPS + warp;
            warps[place] = {sum, n_left_out};
        }
    }
};

// The weight of a key, at most 1: the reference may be from other instructions than the score, by which it may be less.
inline float weight_of(float score, float reference, float scale) {
    return exp2_approximate(fminf(score - reference, 0.0f) * scale);
}
