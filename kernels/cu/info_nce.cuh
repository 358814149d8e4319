// InfoNCE over scores, whatever instructions made them: which keys take part, the survey of a query's scores, and the
// units in which weights are kept.

#pragma once

#include "scores.cuh"

// Which keys take no part.
struct LeaveOut {
    const u32* query_ids; // null: no ids
    const u32* key_ids;
    u32 in_batch;

    // The id of a query, if there are ids and such a query.
    u32 id_of(u64 query, u32 n_queries) const {
        return query_ids && query < n_queries ? query_ids[query] : 0;
    }

    // Of a thread's scores of its two queries `rows`, whose ids are `own_ids`, with the 64 keys from `first` on: a bit for each
    // that takes no part, 4 j + e for `scores[j][e]` of `mma_f16`. What lies beyond the queries or the keys takes none either.
    u32 of_tile(const u64 (&rows)[2], const u32 (&own_ids)[2], u32 n_queries, u64 first, u32 n_keys) const {
        const bool is_whole = rows[1] < n_queries && first + 64 <= n_keys;
        const bool has_own = in_batch && first <= rows[1] && rows[0] < first + 64;
        if (is_whole && !has_own && !query_ids) {
            return 0;
        }
        u32 bits = 0;
#pragma unroll
        for (u32 j = 0; j < 8; j++) {
#pragma unroll
            for (u32 c = 0; c < 2; c++) {
                const u64 key = first + 8 * j + 2 * (threadIdx.x % WARP % 4) + c;
                const u32 id = query_ids && key < n_keys ? key_ids[key] : 0;
#pragma unroll
                for (u32 h = 0; h < 2; h++) {
                    const bool is_beyond = rows[h] >= n_queries || key >= n_keys;
                    const bool is_same = (in_batch && rows[h] == key) || (query_ids && own_ids[h] == id);
                    bits |= static_cast<u32>(is_beyond || is_same) << (4 * j + 2 * h + c);
                }
            }
        }
        return bits;
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

// A sum of weights, rounded to whole multiples of 2^-40 each, in two parts: multiples of 2^-20, and what is left. Sums of floats
// with a constant have these as their last bits, so that no conversion is needed, of which a multiprocessor makes few a cycle.
struct WeightSum {
    static constexpr float HIGH = 8.0f;         // to 16 in steps of 2^-20
    static constexpr float LOW = 12582912.0f;   // 2^23 and half as much, in steps of 1
    u32 high = 0, low = 0, n = 0;

    void add(float weight) {
        const float rounded = weight + HIGH;
        high += __float_as_uint(rounded);
        low += __float_as_uint(fmaf(weight - (rounded - HIGH), SUM_UNIT, LOW));
        n++;
    }

    // The sum in units of 2^-40, of at most 2^11 weights.
    u64 units() const {
        const u32 whole = high - n * __float_as_uint(HIGH);
        const int rest = static_cast<int>(low - n * __float_as_uint(LOW));
        return (static_cast<u64>(whole) << 20) + static_cast<u64>(static_cast<i64>(rest));
    }
};

// The weights of a thread's scores with 64 keys from `first` on, in units of 2^-15: relative to the best score of each query,
// whose sums are added to, or with `COLUMNS` to the key's, and then multiplied by its factor. `left_out` is `LeaveOut::of_tile`.
template <bool COLUMNS>
inline void weigh_scores(float (&weights)[8][4], const float (&scores)[8][4], u32 left_out, const float (&row_best)[2],
                         u64 (&sums)[2], u64 first, u32 n_keys, const u32* best, const float* factors, float scale) {
    WeightSum tile_sums[2];
#pragma unroll
    for (u32 j = 0; j < 8; j++) {
        float key_best[2], key_factor[2];
        if (COLUMNS) {
#pragma unroll
            for (u32 c = 0; c < 2; c++) {
                const u64 key = first + 8 * j + 2 * (threadIdx.x % WARP % 4) + c;
                const u64 there = key < n_keys ? key : n_keys - 1;
                key_best[c] = from_ordered_bits(best[there]);
                key_factor[c] = factors[there];
            }
        }
#pragma unroll
        for (u32 e = 0; e < 4; e++) {
            float weight = weight_of(scores[j][e], COLUMNS ? key_best[e % 2] : row_best[e / 2], scale);
            if (COLUMNS) {
                weight *= key_factor[e % 2];
            }
            weight = left_out >> (4 * j + e) & 1 ? 0.0f : weight;
            if (!COLUMNS) {
                tile_sums[e / 2].add(weight);
            }
            weights[j][e] = weight * WEIGHT_UNIT;
        }
    }
    if (!COLUMNS) {
#pragma unroll
        for (u32 h = 0; h < 2; h++) {
            sums[h] += tile_sums[h].units();
        }
    }
}
