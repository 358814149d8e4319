// InfoNCE of a batch against its positives and negative keys: what the losses and their gradients are made of, without
// the matrix of logits. Rows are f16 `[n, stride]` (see `Rows`), sums f32.
//
// With s the scores of a query's negatives, m the largest of them and c = log2(e) / T, the weight of a key is
// w = 2^((s - m) c), at most 1. The sum of the weights is kept in whole multiples of 2^-40, so that it is the same in
// whatever order keys come. A key takes no part if its id is the query's, or, with `in_batch`, if it is the query's own
// positive.
//
// info_nce_survey_f16_v1    Finds m, and sums the scores. A block meets 128 queries with a chunk of the keys.
// info_nce_weigh_f16_v1     Sums w and w * key. Scores are computed again: together with the survey 6 operations an
//                           element of keys, query and batch, where one pass would take 4 but know no m before its end.
//                           A warp has 16 queries, whose weights become the first factor of the second product without
//                           leaving its registers (as in FlashAttention-2, arXiv 2307.08691). 256 columns of the sums
//                           fit the registers; of longer rows each slice of 256 computes the scores anew.
// info_nce_weigh_f16_v1_columns
//                           The same with m and a factor of each key in place of the row's m: the gradient by in-batch
//                           positives, whose queries are then the keys.
// info_nce_shares_v1        Makes each query's loss, and the factors of the gradients, of m and the sum of w, in f64.
// info_nce_gradient_f32_v1  Adds up the chunks' sums in their order, and takes the positive's share off.
//
// Each needs: (threads a block, most registers a thread, dynamic shared memory in bytes)
// @kernel info_nce_survey_f16_v1 threads=256 registers=128 shared=98304
// @kernel info_nce_weigh_f16_v1 threads=128 registers=255 shared=65536
// @kernel info_nce_weigh_f16_v1_columns threads=128 registers=255 shared=65536
// @kernel info_nce_shares_v1 threads=256 registers=128 shared=0
// @kernel info_nce_gradient_f32_v1 threads=256 registers=64 shared=0

#include "info_nce.cuh"
#include "tile.cuh"

// Grid: x one block for 128 queries, y one for `tiles_per_chunk` tiles of 128 keys. Raises `best [n_queries]` (ordered
// bits) to the largest score; `warps [grid y, grid x, 8]` gets what each warp has seen.
extern "C" __global__ void __launch_bounds__(256, 2)
    info_nce_survey_f16_v1(const u16* query, u32 n_queries, const u16* keys, u32 n_keys, u32 stride,
                           u32 tiles_per_chunk, const u32* query_ids, const u32* key_ids, u32 in_batch, u32* best,
                           WarpSurvey* warps) {
    const Rows queries = {query, n_queries, stride}, all_keys = {keys, n_keys, stride};
    const u64 first_query = static_cast<u64>(blockIdx.x) * TILE;
    const Part part = part_of_block<TILE>(n_keys, tiles_per_chunk);
    Survey<Scores> survey;
    sweep<3>(queries, first_query, all_keys, part, [&](Scores& scores, u64 first) {
        survey.meet(scores, first_query, n_queries, first, n_keys, query_ids, key_ids, in_batch);
    });
    survey.finish(first_query, n_queries, best, warps);
}

constexpr u32 WEIGH_ROWS = 64;
constexpr u32 WEIGH_THREADS = 128;
constexpr u32 WEIGH_STAGE_BYTES = WEIGH_ROWS * ROW_BYTES;
template <bool COLUMNS>
inline void weigh(const Rows& queries, const Rows& keys, u32 tiles_per_chunk, const LeaveOut& leave_out, float scale,
                  const u32* best, const float* factors, u64* weight_sums, float* key_sums) {
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const u64 first_query = static_cast<u64>(blockIdx.x) * WEIGH_ROWS;
    const u64 first_key = static_cast<u64>(blockIdx.y) * tiles_per_chunk * WEIGH_ROWS;
    const u64 end = first_key + static_cast<u64>(tiles_per_chunk) * WEIGH_ROWS;
    const u64 end_key = end < keys.n_rows ? end : keys.n_rows;
    const u32 first_column = blockIdx.z * SLICE;
    const u32 n_steps = (queries.stride + STAGE_COLUMNS - 1) / STAGE_COLUMNS;
    // Two stages of 64 columns of queries and keys, then the keys' columns of this slice.
    u8* slice = shared_memory() + 2 * 2 * WEIGH_STAGE_BYTES;

    // A thread's two queries, and the largest score and the id of each.
    const u64 rows[2] = {first_query + 16 * warp + lane / 4, first_query + 16 * warp + lane / 4 + 8};
    float row_best[2];
    u32 own_ids[2];
#pragma unroll
    for (u32 h = 0; h < 2; h++) {
        row_best[h] = !COLUMNS && rows[h] < queries.n_rows ? from_ordered_bits(best[rows[h]]) : 0.0f;
        own_ids[h] = leave_out.id_of(rows[h], queries.n_rows);
    }
    u64 sums[2] = {0, 0};
    float out[SLICE / 8][4];
#pragma unroll
    for (u32 j = 0; j < SLICE / 8; j++) {
#pragma unroll
        for (u32 e = 0; e < 4; e++) {
            out[j][e] = 0.0f;
        }
    }

    for (u64 first = first_key; first < end_key; first += WEIGH_ROWS) {
        auto load = [&](u32 step) {
            if (step < n_steps) {
                u8* stage = shared_memory() + step % 2 * 2 * WEIGH_STAGE_BYTES;
                const u32 column = step * STAGE_COLUMNS;
                load_stage<WEIGH_ROWS, WEIGH_THREADS>(stage, queries, first_query, column);
                load_stage<WEIGH_ROWS, WEIGH_THREADS>(stage + WEIGH_STAGE_BYTES, keys, first, column);
            }
            close_copies();
        };
        sync_block(); // everyone has left the keys before
        load(0);
        for (u32 part = 0; part < SLICE / STAGE_COLUMNS; part++) {
            load_stage<WEIGH_ROWS, WEIGH_THREADS>(slice + part * WEIGH_STAGE_BYTES, keys, first,
                                                  first_column + part * STAGE_COLUMNS);
        }

        // Scores of 16 queries and 64 keys: [j] holds 8 keys.
        float scores[WEIGH_ROWS / 8][4];
#pragma unroll
        for (u32 j = 0; j < WEIGH_ROWS / 8; j++) {
#pragma unroll
            for (u32 e = 0; e < 4; e++) {
                scores[j][e] = 0.0f;
            }
        }
        for (u32 step = 0; step < n_steps; step++) {
            // The first call closes a group with the slice, too.
            load(step + 1);
            wait_for_copies<1>();
            sync_block();
            u8* stage = shared_memory() + step % 2 * 2 * WEIGH_STAGE_BYTES;
#pragma unroll
            for (u32 k = 0; k < STAGE_COLUMNS / 16; k++) {
                u32 a[4];
                load_left(a, stage, 16 * warp, k);
#pragma unroll
                for (u32 j = 0; j < WEIGH_ROWS / 16; j++) {
                    u32 b[4];
                    load_right(b, stage + WEIGH_STAGE_BYTES, 16 * j, k);
                    mma_f16(scores[2 * j], a, b[0], b[1]);
                    mma_f16(scores[2 * j + 1], a, b[2], b[3]);
                }
            }
            sync_block(); // everyone has left the stage
        }
        wait_for_copies<0>();
        sync_block();

        float weights[WEIGH_ROWS / 8][4];
        const u32 left_out = leave_out.of_tile(rows, own_ids, queries.n_rows, first, keys.n_rows);
        weigh_scores<COLUMNS>(weights, scores, left_out, row_best, sums, first, keys.n_rows, best, factors, scale);
#pragma unroll
        for (u32 k = 0; k < WEIGH_ROWS / 16; k++) {
            const u32 a[4] = {
                pack_f16(weights[2 * k][0], weights[2 * k][1]), pack_f16(weights[2 * k][2], weights[2 * k][3]),
                pack_f16(weights[2 * k + 1][0], weights[2 * k + 1][1]),
                pack_f16(weights[2 * k + 1][2], weights[2 * k + 1][3])};
            const u32 row = 16 * k + lane / 8 % 2 * 8 + lane % 8;
#pragma unroll
            for (u32 j = 0; j < SLICE / 16; j++) {
                u8* part = slice + j / 4 * WEIGH_STAGE_BYTES;
                u32 b[4];
                load_matrices_transposed(b, stage_piece(part, row, 2 * (j % 4) + lane / 16));
                mma_f16(out[2 * j], a, b[0], b[1]);
                mma_f16(out[2 * j + 1], a, b[2], b[3]);
            }
        }
    }

    float* chunk_sums = key_sums + static_cast<u64>(blockIdx.y) * queries.n_rows * queries.stride;
#pragma unroll
    for (u32 j = 0; j < SLICE / 8; j++) {
#pragma unroll
        for (u32 e = 0; e < 4; e++) {
            const u32 column = first_column + 8 * j + 2 * (lane % 4) + e % 2;
            if (rows[e / 2] < queries.n_rows && column < queries.stride) {
                chunk_sums[rows[e / 2] * queries.stride + column] = out[j][e];
            }
        }
    }
    if (!COLUMNS && blockIdx.z == 0) {
#pragma unroll
        for (u32 h = 0; h < 2; h++) {
            sums[h] += shuffle_xor(sums[h], 1);
            sums[h] += shuffle_xor(sums[h], 2);
            if (lane % 4 == 0 && rows[h] < queries.n_rows && sums[h] != 0) {
                atomic_add(weight_sums + rows[h], sums[h]);
            }
        }
    }
}

// Grid: x one block for 64 queries, y one for `tiles_per_chunk` tiles of 64 keys, z one for 256 columns. `best` as the
// survey left it. Adds to `weight_sums [n_queries]`, in units of 2^-40; `key_sums` is `[grid y, n_queries, stride]`, in
// units of 2^-15.
extern "C" __global__ void __launch_bounds__(128)
    info_nce_weigh_f16_v1(const u16* query, u32 n_queries, const u16* keys, u32 n_keys, u32 stride,
                          u32 tiles_per_chunk, const u32* query_ids, const u32* key_ids, u32 in_batch, float scale,
                          const u32* best, u64* weight_sums, float* key_sums) {
    weigh<false>({query, n_queries, stride}, {keys, n_keys, stride}, tiles_per_chunk, {query_ids, key_ids, in_batch},
                 scale, best, nullptr, weight_sums, key_sums);
}

// As `info_nce_weigh_f16_v1`, with `best` and a factor, at most 1, of each key.
extern "C" __global__ void __launch_bounds__(128)
    info_nce_weigh_f16_v1_columns(const u16* query, u32 n_queries, const u16* keys, u32 n_keys, u32 stride,
                                  u32 tiles_per_chunk, const u32* query_ids, const u32* key_ids, u32 in_batch,
                                  float scale, const u32* best, const float* factors, float* key_sums) {
    weigh<true>({query, n_queries, stride}, {keys, n_keys, stride}, tiles_per_chunk, {query_ids, key_ids, in_batch},
                scale, best, factors, nullptr, key_sums);
}

// A query's loss, the score of its positive, and the best of its negatives' (ordered bits; 0 if there are none).
struct QueryTerm {
    double loss;
    float own;
    u32 best;
};

// Grid: one block for 256 queries. `own` are the scores of the positives, `best` and `weight_sums` as survey and weighing left
// them. Of each query: its term; the factor of its sum of weighted keys, and that of its positive, in the gradient of the
// mean loss by the query; and the share of its best negative among all keys.
extern "C" __global__ void __launch_bounds__(256)
    info_nce_shares_v1(const float* own, const u32* best, const u64* weight_sums, u32 n, double temperature,
                       QueryTerm* terms, float* sum_factors, float* own_factors, float* best_shares) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    double loss = 0.0, best_share = 0.0, negative_share = 0.0;
    if (best[i] != 0) {
        // At least 1: the best negative's own weight. That of the positive would be exp(-lead).
        const double weight_sum = static_cast<double>(weight_sums[i]) / SUM_UNIT;
        const double lead = (static_cast<double>(from_ordered_bits(best[i])) - own[i]) / temperature;
        const double own_weight = exp(-lead);
        loss = lead > 0.0 ? lead + log(weight_sum) + log1p(own_weight / weight_sum) : log1p(weight_sum * exp(lead));
        best_share = 1.0 / (own_weight + weight_sum);
        negative_share = best_share * weight_sum;
    }
    const double slope = 1.0 / (n * temperature);
    terms[i] = {loss, own[i], best[i]};
    sum_factors[i] = static_cast<float>(slope * best_share / WEIGHT_UNIT);
    own_factors[i] = static_cast<float>(slope * negative_share);
    best_shares[i] = static_cast<float>(best_share);
}

// Grid: one block for 256 elements. `out[i, :] = sum_factors[i] * sum of key_sums[:, i, :] - own_factors[i] * own[i, :]`
// for `i < n`, with `sum_factor` for all rows where `sum_factors` is null; `key_sums` is `[n_chunks, n, stride]`, `own` is
// f16 `[n, stride]`, `out` is `[n, dim]`.
extern "C" __global__ void __launch_bounds__(256)
    info_nce_gradient_f32_v1(const float* key_sums, u32 n_chunks, const u16* own, u32 n, u32 dim, u32 stride,
                             const float* sum_factors, float sum_factor, const float* own_factors, float* out) {
    const u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= static_cast<u64>(n) * dim) {
        return;
    }
    const u64 row = i / dim, at = row * stride + i % dim;
    float sum = 0.0f;
    for (u32 chunk = 0; chunk < n_chunks; chunk++) {
        sum += key_sums[static_cast<u64>(chunk) * n * stride + at];
    }
    out[i] = (sum_factors ? sum_factors[row] : sum_factor) * sum - own_factors[row] * f32_from_f16(own[at]);
}
