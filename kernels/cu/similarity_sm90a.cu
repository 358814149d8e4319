// The kernels of `similarity.cu` with the instructions of Hopper (sm_90a): same meaning, parameters and results, except
// that scores are those of `wgmma`. Rows come by way of tensor maps (see `sweep_wide`).
//
// pair_scores_sm90a_v1  Scores of single pairs: the diagonal of products of gathered rows, 64 pairs a block.
// rank_counts_sm90a_v1  As `rank_counts_f16_v1`. Only what is greater is counted at once; a tile where a score equals a
//                       threshold is met again while it lies in registers, which is rare.
// scores_sm90a_v1       As `scores_f16_v1`.
// top_k_sm90a_v1        As `top_k_f16_v1`. Candidates of a warp's 16 queries wait together, 32 at most, to be put into
//                       the lists one by one.
//
// Each needs: (threads a block, most registers a thread, dynamic shared memory in bytes)
// @kernel pair_scores_sm90a_v1 threads=128 registers=255 shared=40960
// @kernel rank_counts_sm90a_v1 threads=384 registers=168 shared=232448
// @kernel rank_counts_sm90a_v1_ids threads=384 registers=168 shared=232448
// @kernel rank_counts_sm90a_v1_both threads=384 registers=168 shared=232448
// @kernel rank_counts_sm90a_v1_both_ids threads=384 registers=168 shared=232448
// @kernel scores_sm90a_v1 threads=384 registers=168 shared=232448
// @kernel top_k_sm90a_v1 threads=384 registers=168 shared=232448

#include "wide_tile.cuh"

constexpr u32 PAIRS = 64;

// Grid: one block for 64 pairs. `out[p]` is the score of query row `query_rows[p]` and gallery row `gallery_rows[p]`, of row
// `p` where that list is null.
extern "C" __global__ void __launch_bounds__(128)
    pair_scores_sm90a_v1(const u16* query, const u32* query_rows, const u16* gallery, const u32* gallery_rows,
                         u32 stride, u32 n_pairs, float* out) {
    // Rows 64 to 255 of the second factor are whatever lies there: their products are not read.
    u8* left = shared_memory();
    u8* right = left + PAIRS * ROW_BYTES;
    const u32 first = blockIdx.x * PAIRS;
    WideScores scores;
    hold(scores.at[0]);
    for (u32 column = 0; column < stride; column += STAGE_COLUMNS) {
        // A thread copies half of one pair's pieces. Pairs beyond the last are the last one again.
        const u32 row = threadIdx.x / 2;
        const u32 pair = first + row < n_pairs ? first + row : n_pairs - 1;
        const u16* from[2] = {query + static_cast<u64>(query_rows ? query_rows[pair] : pair) * stride,
                              gallery + static_cast<u64>(gallery_rows ? gallery_rows[pair] : pair) * stride};
        for (u32 piece = threadIdx.x % 2 * 4; piece < threadIdx.x % 2 * 4 + 4; piece++) {
            const u32 at = column + piece * 8;
            for (u32 side = 0; side < 2; side++) {
                *reinterpret_cast<uint4*>(stage_piece(side == 0 ? left : right, row, piece))
                    = at < stride ? *reinterpret_cast<const uint4*>(from[side] + at) : uint4{0, 0, 0, 0};
            }
        }
        publish_to_async();
        sync_block();
        open_products();
#pragma unroll
        for (u32 step = 0; step < STAGE_COLUMNS / 16; step++) {
            multiply_async(scores.at[0], factor(left) + 2 * step, factor(right) + 2 * step, (column | step) != 0);
        }
        close_products();
        wait_for_products();
        sync_block();
    }
    hold(scores.at[0]);
    scores.each([&](float& score, u32 i, u32 h, u32 j, u32 c) {
        const u32 row = WideScores::row(i, h);
        if (row == WideScores::column(j, c) && first + row < n_pairs) {
            out[first + row] = score;
        }
    });
}

// Of `2 HALF` counts, adds up one half with the lane `2 HALF` apart, which adds up the other.
template <u32 HALF>
inline void halve(u32 (&counts)[16]) {
    const bool upper = (threadIdx.x & 2 * HALF) != 0;
#pragma unroll
    for (u32 i = 0; i < HALF; i++) {
        const u32 kept = upper ? counts[i + HALF] : counts[i];
        const u32 given = upper ? counts[i] : counts[i + HALF];
        counts[i] = kept + shuffle_xor(given, 2 * HALF);
    }
}

// Adds up the warp's counts of each column, which are those above the column's threshold: four columns at a time as the
// bytes of a register, first over the two rows of a thread, then over the lanes that have the columns' other rows, each of
// which ends up with 8 of its columns. Returns whether some score equals its column's threshold.
inline bool count_columns(const WideScores& scores, const float* thresholds, u32* greater) {
    const u32 lane = threadIdx.x % WARP;
    bool equal = false;
    u32 counts[16];
#pragma unroll
    for (u32 four = 0; four < 16; four++) {
        counts[four] = 0;
#pragma unroll
        for (u32 column = 0; column < 4; column++) {
            const u32 j = 2 * four + column / 2, c = column % 2;
            const float threshold = thresholds[WideScores::column(j, c)];
#pragma unroll
            for (u32 h = 0; h < 2; h++) {
                const float score = scores.at[0][j][2 * h + c];
                counts[four] += score > threshold ? 1u << 8 * column : 0;
                equal |= score == threshold;
            }
        }
    }
    // Lanes 16, 8 and 4 apart give each other half of what they have.
    halve<8>(counts);
    halve<4>(counts);
    halve<2>(counts);
    const u32 first_four = (lane & 16) / 2 + (lane & 8) / 2 + (lane & 4) / 2;
#pragma unroll
    for (u32 four = 0; four < 2; four++) {
#pragma unroll
        for (u32 column = 0; column < 4; column++) {
            const u32 count = counts[four] >> 8 * column & 0xff;
            if (count != 0) {
                atomic_add(greater + WideScores::column(2 * (first_four + four) + column / 2, column % 2), count);
            }
        }
    }
    return equal;
}

// Counts of one tile for the thread's queries and, with `BOTH`, for the gallery's columns.
template <bool BOTH, bool IDS>
inline void rank_counts(const TensorMap& query_map, u32 n_queries, const TensorMap& gallery_map, u32 n_gallery,
                        u32 stride, u32 tiles_per_chunk, const float* query_thresholds, const float* item_thresholds,
                        const u32* query_ids, const u32* item_ids, u32* query_greater, u32* query_equal,
                        u32* item_greater, u32* item_equal) {
    const u64 first_query = static_cast<u64>(blockIdx.x) * TILE;
    const Part part = part_of_block<WIDE_TILE>(n_gallery, tiles_per_chunk);
    const u32 n_rows = rows_in_tile<TILE>(first_query, n_queries);
    const u32 lane = threadIdx.x % WARP, warpgroup = threadIdx.x / WARPGROUP;
    float thresholds[2] = {infinity(), infinity()};
    if (warpgroup < 2) {
#pragma unroll
        for (u32 h = 0; h < 2; h++) {
            const u32 row = WideScores::row(0, h);
            if (row < n_rows) {
                thresholds[h] = query_thresholds[first_query + row];
            }
        }
    }
    float* column_thresholds = reinterpret_cast<float*>(extra_memory()) + warpgroup * WIDE_TILE;
    u32 greater[2] = {0, 0};
    sweep_wide(query_map, first_query, gallery_map, part, stride, [&](WideScores& scores, u64 first) {
        const u32 n_items = rows_in_tile<WIDE_TILE>(first, n_gallery);
        if (BOTH) {
            for (u32 column = threadIdx.x % WARPGROUP; column < WIDE_TILE; column += WARPGROUP) {
                column_thresholds[column] = column < n_items ? item_thresholds[first + column] : infinity();
            }
            sync_warpgroup(1 + warpgroup);
        }
        // What counts nowhere becomes minus infinity: no threshold is that low.
        leave_out_beyond(scores, n_rows, n_items);
        if (IDS) {
            leave_out_same_ids(scores, query_ids + first_query, n_rows, item_ids + first, n_items);
        }
        bool equal = false;
        scores.each([&](float& score, u32, u32 h, u32, u32) {
            greater[h] += score > thresholds[h];
            equal |= score == thresholds[h];
        });
        if (BOTH) {
            equal |= count_columns(scores, column_thresholds, item_greater + first);
        }
        if (any_in_warp(equal)) {
            scores.each([&](float& score, u32 i, u32 h, u32 j, u32 c) {
                if (score == thresholds[h]) {
                    atomic_add(query_equal + first_query + WideScores::row(i, h), 1u);
                }
                if (BOTH && score == column_thresholds[WideScores::column(j, c)]) {
                    atomic_add(item_equal + first + WideScores::column(j, c), 1u);
                }
            });
        }
        if (BOTH) {
            sync_warpgroup(1 + warpgroup); // everyone has left the thresholds
        }
    });
    if (warpgroup < 2) {
#pragma unroll
        for (u32 h = 0; h < 2; h++) {
            for (u32 mask = 1; mask < 4; mask *= 2) {
                greater[h] += shuffle_xor(greater[h], mask);
            }
            const u32 row = WideScores::row(0, h);
            if (lane % 4 == 0 && row < n_rows && greater[h] != 0) {
                atomic_add(query_greater + first_query + row, greater[h]);
            }
        }
    }
}

// Grid: x one block for 128 queries, y one for `tiles_per_chunk` tiles of 256 items. Adds to the counters.
extern "C" __global__ void __launch_bounds__(384, 1)
    rank_counts_sm90a_v1(const __grid_constant__ TensorMap query, u32 n_queries,
                         const __grid_constant__ TensorMap gallery, u32 n_gallery, u32 stride, u32 tiles_per_chunk,
                         const float* query_thresholds, u32* query_greater, u32* query_equal) {
    rank_counts<false, false>(query, n_queries, gallery, n_gallery, stride, tiles_per_chunk, query_thresholds, nullptr,
                              nullptr, nullptr, query_greater, query_equal, nullptr, nullptr);
}

extern "C" __global__ void __launch_bounds__(384, 1)
    rank_counts_sm90a_v1_ids(const __grid_constant__ TensorMap query, u32 n_queries,
                             const __grid_constant__ TensorMap gallery, u32 n_gallery, u32 stride, u32 tiles_per_chunk,
                             const float* query_thresholds, const u32* query_ids, const u32* item_ids,
                             u32* query_greater, u32* query_equal) {
    rank_counts<false, true>(query, n_queries, gallery, n_gallery, stride, tiles_per_chunk, query_thresholds, nullptr,
                             query_ids, item_ids, query_greater, query_equal, nullptr, nullptr);
}

extern "C" __global__ void __launch_bounds__(384, 1)
    rank_counts_sm90a_v1_both(const __grid_constant__ TensorMap query, u32 n_queries,
                              const __grid_constant__ TensorMap gallery, u32 n_gallery, u32 stride,
                              u32 tiles_per_chunk, const float* query_thresholds, const float* item_thresholds,
                              u32* query_greater, u32* query_equal, u32* item_greater, u32* item_equal) {
    rank_counts<true, false>(query, n_queries, gallery, n_gallery, stride, tiles_per_chunk, query_thresholds,
                             item_thresholds, nullptr, nullptr, query_greater, query_equal, item_greater, item_equal);
}

extern "C" __global__ void __launch_bounds__(384, 1)
    rank_counts_sm90a_v1_both_ids(const __grid_constant__ TensorMap query, u32 n_queries,
                                  const __grid_constant__ TensorMap gallery, u32 n_gallery, u32 stride,
                                  u32 tiles_per_chunk, const float* query_thresholds, const float* item_thresholds,
                                  const u32* query_ids, const u32* item_ids, u32* query_greater, u32* query_equal,
                                  u32* item_greater, u32* item_equal) {
    rank_counts<true, true>(query, n_queries, gallery, n_gallery, stride, tiles_per_chunk, query_thresholds,
                            item_thresholds, query_ids, item_ids, query_greater, query_equal, item_greater,
                            item_equal);
}

// Grid: x one block for 128 queries, y one for `tiles_per_chunk` tiles of 256 items. `out` is `[n_queries, n_gallery]`.
extern "C" __global__ void __launch_bounds__(384, 1)
    scores_sm90a_v1(const __grid_constant__ TensorMap query, u32 n_queries, const __grid_constant__ TensorMap gallery,
                    u32 n_gallery, u32 stride, u32 tiles_per_chunk, float* out) {
    const u64 first_query = static_cast<u64>(blockIdx.x) * TILE;
    const Part part = part_of_block<WIDE_TILE>(n_gallery, tiles_per_chunk);
    sweep_wide(query, first_query, gallery, part, stride, [&](WideScores& scores, u64 first) {
        const u32 n_rows = rows_in_tile<TILE>(first_query, n_queries);
        const u32 n_items = rows_in_tile<WIDE_TILE>(first, n_gallery);
        scores.each([&](float& score, u32 i, u32 h, u32 j, u32 c) {
            const u32 row = WideScores::row(i, h), item = WideScores::column(j, c);
            if (row < n_rows && item < n_items) {
                out[(first_query + row) * n_gallery + first + item] = score;
            }
        });
    });
}

// Candidates for the lists of a warp's queries.
struct Candidates {
    u64 keys[WARP];
    u8 rows[WARP];
};

// Pairs of columns of a thread, and those of them that are met at once.
constexpr u32 WIDE_STEPS = WideScores::COLUMNS / 8;
constexpr u32 STEPS_AT_ONCE = 4;

// Whether one of a thread's first scores is not below the least that can enter its query's list.
template <u32 STEPS>
inline bool can_enter(const WideScores& scores, const float (&least)[2]) {
    bool some = false;
#pragma unroll
    for (u32 j = 0; j < STEPS; j++) {
#pragma unroll
        for (u32 e = 0; e < 4; e++) {
            some |= scores.at[0][j][e] >= least[e / 2];
        }
    }
    return some;
}

// Grid: x one block for 128 queries, y one for `tiles_per_chunk` tiles of 256 items. `lists` is
// `[chunks, n_queries, 32]` and holds sorted keys of earlier calls, or zeros. Items are numbered from `item_offset` on.
// Only keys below the query's bound are taken; of a list the first `k` keys are right.
extern "C" __global__ void __launch_bounds__(384, 1)
    top_k_sm90a_v1(const __grid_constant__ TensorMap query, u32 n_queries, const __grid_constant__ TensorMap gallery,
                   u32 n_gallery, u32 stride, u32 tiles_per_chunk, u32 item_offset, u32 k, const u64* bounds,
                   u64* lists) {
    const u64 first_query = static_cast<u64>(blockIdx.x) * TILE;
    const Part part = part_of_block<WIDE_TILE>(n_gallery, tiles_per_chunk);
    const u32 n_rows = rows_in_tile<TILE>(first_query, n_queries);
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    u64* block_lists = lists + (static_cast<u64>(blockIdx.y) * n_queries + first_query) * LIST;
    Candidates& candidates = reinterpret_cast<Candidates*>(extra_memory())[warp];

    // The worst key of each of the thread's two lists, and the least score that can enter: minus infinity never does.
    u64 worst[2] = {0, 0};
    float least[2] = {infinity(), infinity()};
    if (warp < BLOCK_WARPS) {
#pragma unroll
        for (u32 h = 0; h < 2; h++) {
            const u32 row = WideScores::row(0, h);
            if (row < n_rows) {
                worst[h] = block_lists[row * LIST + k - 1];
                least[h] = fmaxf(key_score(worst[h]), lowest());
            }
        }
    }
    sweep_wide(query, first_query, gallery, part, stride, [&](WideScores& scores, u64 first) {
        leave_out_beyond(scores, n_rows, rows_in_tile<WIDE_TILE>(first, n_gallery));
        // Few scores can enter: most tiles are passed over.
        if (!any_in_warp(can_enter<WIDE_STEPS>(scores, least))) {
            return;
        }
        // Some columns at a time are moved to the place of the first, so that all are met, and candidates put into the lists,
        // by the same instructions: written out for each column they would not fit the instruction cache.
        u32 n_met = 0, n_waiting = 0;
        u32 step = 0;
#pragma unroll 1
        while (step < WIDE_STEPS) {
            if (n_met == 0 && !any_in_warp(can_enter<STEPS_AT_ONCE>(scores, least))) {
                n_met = 4 * STEPS_AT_ONCE;
            }
            // Candidates wait until there is no room for those of one more score of each lane.
            bool is_full = false;
#pragma unroll
            for (u32 at = 0; at < 4 * STEPS_AT_ONCE; at++) {
                const u32 j = at / 4, e = at % 4, h = e / 2;
                if (at < n_met || is_full) {
                    continue;
                }
                const float score = scores.at[0][j][e];
                const u32 item = item_offset + static_cast<u32>(first) + WideScores::column(step + j, e % 2);
                const u64 key = make_key(score, item);
                const bool is_candidate = score >= least[h] && key > worst[h] &&
                                          key < bounds[first_query + WideScores::row(0, h)];
                const u32 lanes = lanes_where(is_candidate);
                is_full = n_waiting + count_bits(lanes) > WARP;
                if (is_full) {
                    continue;
                }
                if (is_candidate) {
                    const u32 place = n_waiting + count_bits(lanes & ((1u << lane) - 1));
                    candidates.keys[place] = key;
                    candidates.rows[place] = WideScores::row(0, h);
                }
                n_waiting += count_bits(lanes);
                n_met = at + 1;
            }
            if (!is_full) {
                step += STEPS_AT_ONCE;
                n_met = 0;
#pragma unroll
                for (u32 j = 0; j + STEPS_AT_ONCE < WIDE_STEPS; j++) {
#pragma unroll
                    for (u32 e = 0; e < 4; e++) {
                        scores.at[0][j][e] = scores.at[0][j + STEPS_AT_ONCE][e];
                    }
                }
                if (step < WIDE_STEPS || n_waiting == 0) {
                    continue;
                }
            }

            // One candidate after the other goes into its list.
            sync_warp();
            u32 row = candidates.rows[0];
            u64 own = block_lists[row * LIST + lane];
            for (u32 candidate = 0; candidate < n_waiting; candidate++) {
                // The next list is on its way while this one is changed.
                const u32 next_row = candidates.rows[candidate + 1 < n_waiting ? candidate + 1 : candidate];
                const u64 next = next_row != row ? block_lists[next_row * LIST + lane] : 0;
                const u64 key = candidates.keys[candidate];
                const u32 place = count_bits(lanes_where(own > key));
                const u64 above = shuffle(own, lane == 0 ? 0 : lane - 1);
                const u64 placed = lane < place ? own : lane == place ? key : above;
                block_lists[row * LIST + lane] = placed;
                const u64 last = shuffle(placed, k - 1);
#pragma unroll
                for (u32 h = 0; h < 2; h++) {
                    if (WideScores::row(0, h) == row) {
                        worst[h] = last;
                        least[h] = fmaxf(key_score(last), lowest());
                    }
                }
                own = next_row != row ? next : placed;
                row = next_row;
            }
            n_waiting = 0;
            sync_warp();
        }
    });
}
