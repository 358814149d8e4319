// Scores of queries over a gallery, and what is made of them while they are in registers. The score matrix is never
// written, except by `scores`.
//
// Rows are f16 `[n, stride]` (see `Rows`), sums f32 in the tensor cores, whose error grows with the number of steps of
// 16 columns. All kernels give a pair the same score.
//
// pair_scores_f16_v1  Scores of single pairs: the thresholds of the counts. One warp for 8 pairs.
// rank_counts_f16_v1  Counts, for each query, the items of a gallery that score above its threshold, and equal to it.
//                     `_both` counts for each item, in the same pass, the queries above and at the item's threshold;
//                     `_ids` leaves out pairs whose ids agree. A block meets 128 queries with a chunk of the gallery;
//                     the row's counters stay in registers for the whole chunk.
// scores_f16_v1       Writes the scores.
// top_k_f16_v1        Keeps the best 32 items of each query and chunk below a bound, as sorted keys in global memory:
//                     few scores beat the worst of them, and those that do are collected in shared memory and merged by
//                     one warp a query. `top_k_merge_v1` merges the chunks and sets the next bound.
//
// Each needs: (threads a block, most registers a thread, dynamic shared memory in bytes)
// @kernel pair_scores_f16_v1 threads=128 registers=64 shared=0
// @kernel rank_counts_f16_v1 threads=256 registers=128 shared=98304
// @kernel rank_counts_f16_v1_ids threads=256 registers=128 shared=98304
// @kernel rank_counts_f16_v1_both threads=256 registers=128 shared=98304
// @kernel rank_counts_f16_v1_both_ids threads=256 registers=128 shared=98304
// @kernel scores_f16_v1 threads=256 registers=128 shared=98304
// @kernel top_k_f16_v1 threads=256 registers=192 shared=99840
// @kernel top_k_merge_v1 threads=256 registers=64 shared=0

#include "tile.cuh"

// The pair of f16 at an even column of a row, zeros beyond the row.
inline u32 load_pair(const u16* row, u32 column, u32 stride) {
    return column < stride ? *reinterpret_cast<const u32*>(row + column) : 0;
}

// Grid: one block for 32 pairs. `out[p]` is the score of query row `query_rows[p]` and gallery row `gallery_rows[p]`, of row
// `p` where that list is null.
extern "C" __global__ void __launch_bounds__(128)
    pair_scores_f16_v1(const u16* query, const u32* query_rows, const u16* gallery, const u32* gallery_rows,
                       u32 stride, u32 n_pairs, float* out) {
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const u32 first = (blockIdx.x * (blockDim.x / WARP) + warp) * 8;
    if (first >= n_pairs) {
        return;
    }
    // Lanes beyond the pairs multiply the last one again. Rows 8 to 15 of the tile stay empty.
    const u32 pair = first + lane / 4 < n_pairs ? first + lane / 4 : n_pairs - 1;
    const u16* left = query + static_cast<u64>(query_rows ? query_rows[pair] : pair) * stride;
    const u16* right = gallery + static_cast<u64>(gallery_rows ? gallery_rows[pair] : pair) * stride;
    float d[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (u32 column = 2 * (lane % 4); column < stride; column += 16) {
        const u32 a[4] = {load_pair(left, column, stride), 0, load_pair(left, column + 8, stride), 0};
        mma_f16(d, a, load_pair(right, column, stride), load_pair(right, column + 8, stride));
    }
    // Row r of the tile meets column r in the lane that holds the columns r - r % 2 and r - r % 2 + 1.
    const u32 row = lane / 4;
    if (lane % 4 == row / 2 && first + row < n_pairs) {
        out[first + row] = d[row % 2];
    }
}

// A row's two counters, each below 2^16.
inline u32 count(float score, float threshold) {
    return (score > threshold) + ((score == threshold) << 16);
}

// Counts of one tile for the thread's queries and, with `BOTH`, for the gallery's columns.
template <bool BOTH, bool IDS>
inline void rank_counts(const Rows& queries, const Rows& gallery, u32 tiles_per_chunk, const float* query_thresholds,
                        const float* item_thresholds, const u32* query_ids, const u32* item_ids, u32* query_greater,
                        u32* query_equal, u32* item_greater, u32* item_equal) {
    const u32 lane = threadIdx.x % WARP;
    const u64 first_query = static_cast<u64>(blockIdx.x) * TILE;
    const Part part = part_of_block<TILE>(gallery.n_rows, tiles_per_chunk);

    const u32 n_queries = rows_in_tile<TILE>(first_query, queries.n_rows);
    u32 counts[ROW_STEPS][2] = {};
    sweep<3>(queries, first_query, gallery, part, [&](Scores& scores, u64 first) {
        // What counts nowhere becomes minus infinity: no threshold is that low.
        const u32 n_items = rows_in_tile<TILE>(first, gallery.n_rows);
        leave_out_beyond(scores, n_queries, n_items);
        if (IDS) {
            leave_out_same_ids(scores, query_ids + first_query, n_queries, item_ids + first, n_items);
        }
#pragma unroll
        for (u32 i = 0; i < ROW_STEPS; i++) {
#pragma unroll
            for (u32 h = 0; h < 2; h++) {
                const u32 query = Scores::row(i, h);
                const float threshold = query < n_queries ? query_thresholds[first_query + query] : infinity();
#pragma unroll
                for (u32 j = 0; j < COLUMN_STEPS; j++) {
                    counts[i][h] += count(scores.at[i][j][2 * h], threshold)
                        + count(scores.at[i][j][2 * h + 1], threshold);
                }
            }
        }
        if (BOTH) {
#pragma unroll
            for (u32 j = 0; j < COLUMN_STEPS; j++) {
#pragma unroll
                for (u32 c = 0; c < 2; c++) {
                    const u32 item = Scores::column(j, c);
                    const float threshold = item < n_items ? item_thresholds[first + item] : infinity();
                    u32 column = 0;
#pragma unroll
                    for (u32 i = 0; i < ROW_STEPS; i++) {
                        column += count(scores.at[i][j][c], threshold) + count(scores.at[i][j][2 + c], threshold);
                    }
                    // The lanes of the column's other rows.
                    column += shuffle_xor(column, 4);
                    column += shuffle_xor(column, 8);
                    column += shuffle_xor(column, 16);
                    if (lane / 4 == 0 && column != 0) {
                        if (column & 0xffff) {
                            atomic_add(item_greater + first + item, column & 0xffff);
                        }
                        if (column >> 16) {
                            atomic_add(item_equal + first + item, column >> 16);
                        }
                    }
                }
            }
        }
    });
#pragma unroll
    for (u32 i = 0; i < ROW_STEPS; i++) {
#pragma unroll
        for (u32 h = 0; h < 2; h++) {
            u32 greater = counts[i][h] & 0xffff, equal = counts[i][h] >> 16;
            for (u32 mask = 1; mask < 4; mask *= 2) {
                greater += shuffle_xor(greater, mask);
                equal += shuffle_xor(equal, mask);
            }
            const u32 query = Scores::row(i, h);
            if (lane % 4 == 0 && query < n_queries) {
                if (greater != 0) {
                    atomic_add(query_greater + first_query + query, greater);
                }
                if (equal != 0) {
                    atomic_add(query_equal + first_query + query, equal);
                }
            }
        }
    }
}

// Grid: x one block for 128 queries, y one for `tiles_per_chunk` tiles of 128 items, at most 8191. Adds to the counters.
extern "C" __global__ void __launch_bounds__(256, 2)
    rank_counts_f16_v1(const u16* query, u32 n_queries, const u16* gallery, u32 n_gallery, u32 stride,
                       u32 tiles_per_chunk, const float* query_thresholds, u32* query_greater, u32* query_equal) {
    rank_counts<false, false>({query, n_queries, stride}, {gallery, n_gallery, stride}, tiles_per_chunk,
                              query_thresholds, nullptr, nullptr, nullptr, query_greater, query_equal, nullptr,
                              nullptr);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    rank_counts_f16_v1_ids(const u16* query, u32 n_queries, const u16* gallery, u32 n_gallery, u32 stride,
                           u32 tiles_per_chunk, const float* query_thresholds, const u32* query_ids,
                           const u32* item_ids, u32* query_greater, u32* query_equal) {
    rank_counts<false, true>({query, n_queries, stride}, {gallery, n_gallery, stride}, tiles_per_chunk,
                             query_thresholds, nullptr, query_ids, item_ids, query_greater, query_equal, nullptr,
                             nullptr);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    rank_counts_f16_v1_both(const u16* query, u32 n_queries, const u16* gallery, u32 n_gallery, u32 stride,
                            u32 tiles_per_chunk, const float* query_thresholds, const float* item_thresholds,
                            u32* query_greater, u32* query_equal, u32* item_greater, u32* item_equal) {
    rank_counts<true, false>({query, n_queries, stride}, {gallery, n_gallery, stride}, tiles_per_chunk,
                             query_thresholds, item_thresholds, nullptr, nullptr, query_greater, query_equal,
                             item_greater, item_equal);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    rank_counts_f16_v1_both_ids(const u16* query, u32 n_queries, const u16* gallery, u32 n_gallery, u32 stride,
                                u32 tiles_per_chunk, const float* query_thresholds, const float* item_thresholds,
                                const u32* query_ids, const u32* item_ids, u32* query_greater, u32* query_equal,
                                u32* item_greater, u32* item_equal) {
    rank_counts<true, true>({query, n_queries, stride}, {gallery, n_gallery, stride}, tiles_per_chunk,
                            query_thresholds, item_thresholds, query_ids, item_ids, query_greater, query_equal,
                            item_greater, item_equal);
}

// Grid: x one block for 128 queries, y one for `tiles_per_chunk` tiles of 128 items. `out` is `[n_queries, n_gallery]`.
extern "C" __global__ void __launch_bounds__(256, 2)
    scores_f16_v1(const u16* query, u32 n_queries, const u16* gallery, u32 n_gallery, u32 stride,
                  u32 tiles_per_chunk, float* out) {
    const Rows queries = {query, n_queries, stride}, items = {gallery, n_gallery, stride};
    const u64 first_query = static_cast<u64>(blockIdx.x) * TILE;
    const Part part = part_of_block<TILE>(items.n_rows, tiles_per_chunk);
    sweep<3>(queries, first_query, items, part, [&](Scores& scores, u64 first) {
        const u32 n_rows = rows_in_tile<TILE>(first_query, n_queries), n_items = rows_in_tile<TILE>(first, n_gallery);
        scores.each([&](float& score, u32 i, u32 h, u32 j, u32 c) {
            const u32 row = Scores::row(i, h), item = Scores::column(j, c);
            if (row < n_rows && item < n_items) {
                out[(first_query + row) * n_gallery + first + item] = score;
            }
        });
    });
}

// The larger or the smaller of this lane's key and another's.
inline u64 exchange(u64 key, u32 distance, bool larger) {
    const u64 other = shuffle_xor(key, distance);
    return (key > other) == larger ? key : other;
}

// Sorts the warp's keys, largest in lane 0.
inline u64 sort_descending(u64 key) {
    const u32 lane = threadIdx.x % WARP;
    for (u32 size = 2; size <= WARP; size *= 2) {
        for (u32 distance = size / 2; distance > 0; distance /= 2) {
            key = exchange(key, distance, ((lane & distance) == 0) == ((lane & size) == 0));
        }
    }
    return key;
}

// The 32 largest of two sorted lists, sorted.
inline u64 merge_descending(u64 list, u64 other) {
    const u32 lane = threadIdx.x % WARP;
    const u64 mirrored = shuffle_xor(other, WARP - 1);
    u64 key = list > mirrored ? list : mirrored;
    for (u32 distance = WARP / 2; distance > 0; distance /= 2) {
        key = exchange(key, distance, (lane & distance) == 0);
    }
    return key;
}

// Grid: x one block for 128 queries, y one for `tiles_per_chunk` tiles of 128 items. `lists` is
// `[chunks, n_queries, 32]` and holds sorted keys of earlier calls, or zeros. Items are numbered from `item_offset` on.
// Only keys below the query's bound are taken; of a list the first `k` keys are right.
extern "C" __global__ void __launch_bounds__(256)
    top_k_f16_v1(const u16* query, u32 n_queries, const u16* gallery, u32 n_gallery, u32 stride, u32 tiles_per_chunk,
                 u32 item_offset, u32 k, const u64* bounds, u64* lists) {
    const Rows queries = {query, n_queries, stride}, items = {gallery, n_gallery, stride};
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const u64 first_query = static_cast<u64>(blockIdx.x) * TILE;
    const Part part = part_of_block<TILE>(items.n_rows, tiles_per_chunk);
    u64* chunk_lists = lists + static_cast<u64>(blockIdx.y) * n_queries * LIST;

    u8* memory = shared_memory() + 2 * 2 * TILE_BYTES;
    u64(*candidates)[LIST] = reinterpret_cast<u64(*)[LIST]>(memory);
    u64* worst = reinterpret_cast<u64*>(memory + TILE * LIST * sizeof(u64));
    u32* n_candidates = reinterpret_cast<u32*>(worst + TILE);

    for (u32 row = threadIdx.x; row < TILE; row += BLOCK_THREADS) {
        const u64 at = first_query + row;
        worst[row] = at < n_queries ? chunk_lists[at * LIST + k - 1] : 0;
        n_candidates[row] = 0;
    }
    sync_block();

    sweep<2>(queries, first_query, items, part, [&](Scores& scores, u64 first) {
        const u32 n_rows = rows_in_tile<TILE>(first_query, n_queries), n_items = rows_in_tile<TILE>(first, n_gallery);
        // A bit for each score in the order of `each`: not below the worst of its list.
        u64 pending = 0;
        u32 bit = 0;
        scores.each([&](float& score, u32 i, u32 h, u32 j, u32 c) {
            const u32 row = Scores::row(i, h);
            if (row < n_rows && Scores::column(j, c) < n_items && score >= key_score(worst[row])) {
                pending |= 1ull << bit;
            }
            bit++;
        });
        while (any_in_block(pending != 0)) {
            bit = 0;
            scores.each([&](float& score, u32 i, u32 h, u32 j, u32 c) {
                if (pending >> bit & 1) {
                    const u32 row = Scores::row(i, h);
                    const u64 key = make_key(score, item_offset + static_cast<u32>(first) + Scores::column(j, c));
                    if (key <= worst[row] || key >= bounds[first_query + row]) {
                        pending &= ~(1ull << bit);
                    } else {
                        const u32 place = atomic_add(n_candidates + row, 1u);
                        if (place < LIST) {
                            candidates[row][place] = key;
                            pending &= ~(1ull << bit);
                        }
                    }
                }
                bit++;
            });
            sync_block();
            for (u32 row = warp; row < TILE; row += BLOCK_THREADS / WARP) {
                const u32 n = n_candidates[row];
                if (n != 0) {
                    u64* list = chunk_lists + (first_query + row) * LIST;
                    const u64 added = sort_descending(lane < n ? candidates[row][lane] : 0);
                    const u64 merged = merge_descending(list[lane], added);
                    list[lane] = merged;
                    const u64 last = shuffle(merged, k - 1);
                    sync_warp();
                    if (lane == 0) {
                        worst[row] = last;
                        n_candidates[row] = 0;
                    }
                }
            }
            sync_block();
        }
    });
}

// Grid: one block for 8 queries. Merges a query's lists of all chunks; the first `n` of the result become `out[query * k]`
// and on, the last of them its bound.
extern "C" __global__ void __launch_bounds__(256)
    top_k_merge_v1(const u64* lists, u32 n_queries, u32 n_chunks, u32 n, u32 k, u64* bounds, u64* out) {
    const u32 lane = threadIdx.x % WARP;
    const u32 query = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (query >= n_queries) {
        return;
    }
    const u64* list = lists + static_cast<u64>(query) * LIST + lane;
    u64 merged = *list;
    for (u32 chunk = 1; chunk < n_chunks; chunk++) {
        merged = merge_descending(merged, list[static_cast<u64>(chunk) * n_queries * LIST]);
    }
    if (lane < n) {
        out[static_cast<u64>(query) * k + lane] = merged;
    }
    if (lane == n - 1) {
        bounds[query] = merged;
    }
}
