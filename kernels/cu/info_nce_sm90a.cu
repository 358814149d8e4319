// The kernels of `info_nce.cu` over scores with the instructions of Hopper (sm_90a): same meaning and results. Rows come by
// way of tensor maps (see `sweep_wide`); of `weigh` the boxes are [128 x 64] of queries and [64 x 64] of keys, and rows have
// at most 512 columns.
//
// info_nce_survey_sm90a_v1  As `info_nce_survey_f16_v1`.
// info_nce_weigh_sm90a_v1   As `info_nce_weigh_f16_v1`. Two warpgroups have 64 queries each, a third loads 64 keys at a
//                           time in groups of 256 columns. All groups are multiplied with the queries, which stay in
//                           shared memory; that of the block's slice then serves once more, its rows as the steps of the
//                           product with the weights.
// info_nce_weigh_sm90a_v1_columns
//                           As `info_nce_weigh_f16_v1_columns`.
//
// Each needs: (threads a block, most registers a thread, dynamic shared memory in bytes)
// @kernel info_nce_survey_sm90a_v1 threads=384 registers=168 shared=232448
// @kernel info_nce_weigh_sm90a_v1 threads=384 registers=168 shared=232448
// @kernel info_nce_weigh_sm90a_v1_columns threads=384 registers=168 shared=232448

#include "info_nce.cuh"
#include "wide_tile.cuh"

// Grid: x one block for 128 queries, y one for `tiles_per_chunk` tiles of 256 keys. Raises `best [n_queries]` (ordered
// bits) to the largest score; `warps [grid y, grid x, 8]` gets what each warp has seen.
extern "C" __global__ void __launch_bounds__(384, 1)
    info_nce_survey_sm90a_v1(const __grid_constant__ TensorMap query, u32 n_queries,
                             const __grid_constant__ TensorMap keys, u32 n_keys, u32 stride, u32 tiles_per_chunk,
                             const u32* query_ids, const u32* key_ids, u32 in_batch, u32* best, WarpSurvey* warps) {
    const u64 first_query = static_cast<u64>(blockIdx.x) * TILE;
    const Part part = part_of_block<WIDE_TILE>(n_keys, tiles_per_chunk);
    Survey<WideScores> survey;
    sweep_wide(query, first_query, keys, part, stride, [&](WideScores& scores, u64 first) {
        survey.meet(scores, first_query, n_queries, first, n_keys, query_ids, key_ids, in_batch);
    });
    if (threadIdx.x < 2 * WARPGROUP) {
        survey.finish(first_query, n_queries, best, warps);
    }
}

constexpr u32 KEYS = 64;
constexpr u32 KEY_BOX_BYTES = KEYS * ROW_BYTES;
// Boxes of a group, which is as wide as a slice.
constexpr u32 GROUP_BOXES = SLICE / STAGE_COLUMNS;
constexpr u32 GROUP_BYTES = GROUP_BOXES * KEY_BOX_BYTES;

template <bool COLUMNS>
inline void weigh(const TensorMap& queries, u32 n_queries, const TensorMap& keys, u32 n_keys, u32 stride,
                  u32 tiles_per_chunk, const LeaveOut& leave_out, float scale, const u32* best, const float* factors,
                  u64* weight_sums, float* key_sums) {
    const u64 first_query = static_cast<u64>(blockIdx.x) * TILE;
    const Part part = part_of_block<KEYS>(n_keys, tiles_per_chunk);
    const u32 slice = blockIdx.z;
    const u32 n_boxes = (stride + STAGE_COLUMNS - 1) / STAGE_COLUMNS;
    const u32 n_groups = (n_boxes + GROUP_BOXES - 1) / GROUP_BOXES;
    Ring ring(n_boxes * TILE_BYTES, GROUP_BYTES);

    const u32 warpgroup = own_warpgroup();
    if (warpgroup == 2) {
        shrink_registers<40>();
        if (threadIdx.x == 2 * WARPGROUP) {
            Ring::load_queries(queries, first_query, n_boxes);
            for (u32 tile = 0; tile < part.n_tiles; tile++) {
                for (u32 group = 0; group < n_groups; group++) {
                    ring.wait_empty();
                    for (u32 box = 0; box < GROUP_BOXES; box++) {
                        copy_box(ring.stage(ring.slot) + box * KEY_BOX_BYTES, keys, group * SLICE + box * STAGE_COLUMNS,
                                 part.first + tile * KEYS, Ring::full(ring.slot));
                    }
                    ring.advance();
                }
            }
        }
        return;
    }

    grow_registers<232>();
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    // A thread's two queries, and the largest score and the id of each.
    const u64 rows[2] = {first_query + 16 * warp + lane / 4, first_query + 16 * warp + lane / 4 + 8};
    float row_best[2];
    u32 own_ids[2];
#pragma unroll
    for (u32 h = 0; h < 2; h++) {
        row_best[h] = !COLUMNS && rows[h] < n_queries ? from_ordered_bits(best[rows[h]]) : 0.0f;
        own_ids[h] = leave_out.id_of(rows[h], n_queries);
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
    const u64 query_factor = factor(shared_memory() + warpgroup * (TILE_BYTES / 2));
    wait_for_phase(Ring::queries_there(), 0);

    for (u32 tile = 0; tile < part.n_tiles; tile++) {
        const u64 first = part.first + static_cast<u64>(tile) * KEYS;
        // Scores of 64 queries and 64 keys.
        float scores[KEYS / 8][4];
        hold(scores);
        u32 slice_slot = 0;
        for (u32 group = 0; group < n_groups; group++) {
            ring.wait_full();
            u8* keys_there = ring.stage(ring.slot);
            for (u32 box = 0; box < GROUP_BOXES && group * GROUP_BOXES + box < n_boxes; box++) {
                open_products();
                const u64 a = query_factor + (group * GROUP_BOXES + box) * (TILE_BYTES / 16);
                const u64 b = factor(keys_there + box * KEY_BOX_BYTES);
#pragma unroll
                for (u32 step = 0; step < STAGE_COLUMNS / 16; step++) {
                    multiply_async(scores, a + 2 * step, b + 2 * step, (group | box | step) != 0);
                }
                close_products();
            }
            wait_for_products();
            if (group == slice) {
                slice_slot = ring.slot;
            } else {
                Ring::leave(ring.slot);
            }
            ring.advance();
        }
        hold(scores);

        float weights[KEYS / 8][4];
        const u32 left_out = leave_out.of_tile(rows, own_ids, n_queries, first, n_keys);
        weigh_scores<COLUMNS>(weights, scores, left_out, row_best, sums, first, n_keys, best, factors, scale);
        // 16 keys each, as first factors.
        u32 left[KEYS / 16][4];
#pragma unroll
        for (u32 k = 0; k < KEYS / 16; k++) {
#pragma unroll
            for (u32 e = 0; e < 4; e++) {
                const float* pair = weights[2 * k + e / 2] + e % 2 * 2;
                left[k][e] = pack_f16(pair[0], pair[1]);
            }
        }
        hold(left);
        const u64 slice_factor = factor_of_rows(ring.stage(slice_slot), KEY_BOX_BYTES);
        hold(out);
        open_products();
#pragma unroll
        for (u32 k = 0; k < KEYS / 16; k++) {
            multiply_async(out, left[k], slice_factor + k * (16 * ROW_BYTES / 16));
        }
        close_products();
        wait_for_products();
        hold(out);
        Ring::leave(slice_slot);
    }

    float* chunk_sums = key_sums + static_cast<u64>(blockIdx.y) * n_queries * stride;
#pragma unroll
    for (u32 j = 0; j < SLICE / 8; j++) {
#pragma unroll
        for (u32 e = 0; e < 4; e++) {
            const u32 column = slice * SLICE + 8 * j + 2 * (lane % 4) + e % 2;
            if (rows[e / 2] < n_queries && column < stride) {
                chunk_sums[rows[e / 2] * stride + column] = out[j][e];
            }
        }
    }
    if (!COLUMNS && slice == 0) {
#pragma unroll
        for (u32 h = 0; h < 2; h++) {
            sums[h] += shuffle_xor(sums[h], 1);
            sums[h] += shuffle_xor(sums[h], 2);
            if (lane % 4 == 0 && rows[h] < n_queries && sums[h] != 0) {
                atomic_add(weight_sums + rows[h], sums[h]);
            }
        }
    }
}

// Grid: x one block for 128 queries, y one for `tiles_per_chunk` tiles of 64 keys, z one for 256 columns. `best` as the
// survey left it. Adds to `weight_sums [n_queries]`, in units of 2^-40; `key_sums` is `[grid y, n_queries, stride]`, in
// units of 2^-15.
extern "C" __global__ void __launch_bounds__(384, 1)
    info_nce_weigh_sm90a_v1(const __grid_constant__ TensorMap query, u32 n_queries,
                            const __grid_constant__ TensorMap keys, u32 n_keys, u32 stride, u32 tiles_per_chunk,
                            const u32* query_ids, const u32* key_ids, u32 in_batch, float scale, const u32* best,
                            u64* weight_sums, float* key_sums) {
    weigh<false>(query, n_queries, keys, n_keys, stride, tiles_per_chunk, {query_ids, key_ids, in_batch}, scale, best,
                 nullptr, weight_sums, key_sums);
}

// As `info_nce_weigh_sm90a_v1`, with `best` and a factor, at most 1, of each key.
extern "C" __global__ void __launch_bounds__(384, 1)
    info_nce_weigh_sm90a_v1_columns(const __grid_constant__ TensorMap query, u32 n_queries,
                                    const __grid_constant__ TensorMap keys, u32 n_keys, u32 stride,
                                    u32 tiles_per_chunk, const u32* query_ids, const u32* key_ids, u32 in_batch,
                                    float scale, const u32* best, const float* factors, float* key_sums) {
    weigh<true>(query, n_queries, keys, n_keys, stride, tiles_per_chunk, {query_ids, key_ids, in_batch}, scale, best,
                factors, nullptr, key_sums);
}
