// Upkeep of momentum contrast: key encoders that follow, queues that are written round and round.
//
// ema_update_f32_v1  Moves the tensors of a list, one chunk of one tensor a block, so that a whole encoder takes one
//                    launch. A block finds its tensor in the list, which is short where a list of chunks would not be.
//                    Chunks are aligned as their tensors are; misaligned ones and rests go element by element. Two
//                    roundings an element: the difference, and the fused multiplication and addition.
// enqueue_f16_v1     L2-normalises keys `[n_keys, dim]` and writes them and their ids, if there are any, into a queue
// enqueue_f32_v1     `[queue_len, dim]` from row `pointer` on, wrapping round; `n_keys <= queue_len`. One warp a key. The
//                    norm is computed in f64, so that an element has one rounding to f32 and, in f16, a second one. Of
//                    a key that is not finite an element at least is NaN.
//
// Each needs: (threads a block, most registers a thread, dynamic shared memory in bytes)
// @kernel ema_update_f32_v1 threads=256 registers=64 shared=0
// @kernel enqueue_f16_v1 threads=256 registers=64 shared=0
// @kernel enqueue_f32_v1 threads=256 registers=64 shared=0

#include "ptx.cuh"

// Two tensors of `n` elements: `key` moves towards `query`. Its chunks begin with that of block `first_block`.
struct TensorPair {
    float* key;
    const float* query;
    u64 n;
    u64 first_block;
};

// libtorch's lerp: exact at both ends, weights 0 and 1.
inline float lerp(float key, float query, float weight) {
    return weight < 0.5f ? fmaf(weight, query - key, key) : fmaf(weight - 1.0f, query - key, query);
}

constexpr u32 EMA_THREADS = 256;
// Pieces of 16 bytes that a thread has in flight, of either side.
constexpr u32 AT_ONCE = 4;

// Grid: one block a chunk of `chunk_len` elements, a multiple of 4; the last ones of tensors may be shorter.
extern "C" __global__ void __launch_bounds__(256)
    ema_update_f32_v1(const TensorPair* pairs, u32 n_pairs, u32 chunk_len, float weight) {
    // The last pair that begins at or before this block.
    u32 at = 0;
    for (u32 end = n_pairs; end - at > 1;) {
        const u32 middle = at + (end - at) / 2;
        if (pairs[middle].first_block <= blockIdx.x) {
            at = middle;
        } else {
            end = middle;
        }
    }
    const TensorPair pair = pairs[at];
    const u64 begin = (blockIdx.x - pair.first_block) * chunk_len;
    const u64 n = pair.n - begin < chunk_len ? pair.n - begin : chunk_len;
    float* const chunk = pair.key + begin;
    const float* const towards = pair.query + begin;
    const u64 addresses = reinterpret_cast<u64>(chunk) | reinterpret_cast<u64>(towards);
    const u64 n_fours = addresses % sizeof(float4) == 0 ? n / 4 : 0;
    float4* keys = reinterpret_cast<float4*>(chunk);
    const float4* queries = reinterpret_cast<const float4*>(towards);
    // All loads of a step are on their way before the first is waited for.
    for (u64 start = threadIdx.x; start < n_fours; start += AT_ONCE * EMA_THREADS) {
        float4 key[AT_ONCE], query[AT_ONCE];
#pragma unroll
        for (u32 i = 0; i < AT_ONCE; i++) {
            if (start + i * EMA_THREADS < n_fours) {
                key[i] = load_global(keys + start + i * EMA_THREADS);
                query[i] = load_streaming(queries + start + i * EMA_THREADS);
            }
        }
#pragma unroll
        for (u32 i = 0; i < AT_ONCE; i++) {
            if (start + i * EMA_THREADS < n_fours) {
                key[i].x = lerp(key[i].x, query[i].x, weight);
                key[i].y = lerp(key[i].y, query[i].y, weight);
                key[i].z = lerp(key[i].z, query[i].z, weight);
                key[i].w = lerp(key[i].w, query[i].w, weight);
                store_global(keys + start + i * EMA_THREADS, key[i]);
            }
        }
    }
    for (u64 i = 4 * n_fours + threadIdx.x; i < n; i += EMA_THREADS) {
        chunk[i] = lerp(chunk[i], towards[i], weight);
    }
}

inline void store(u16* to, float x) {
    *to = f16_from_f32(x);
}

inline void store(float* to, float x) {
    *to = x;
}

template <class Element>
inline void enqueue(const float* keys, const i64* ids, Element* queue, i64* queue_ids, u32 n_keys, u32 dim,
                    u32 queue_len, u32 pointer) {
    const u32 lane = threadIdx.x % WARP;
    const u32 row = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (row >= n_keys) {
        return;
    }
    const float* key = keys + static_cast<u64>(row) * dim;
    double squares = 0.0;
    for (u32 column = lane; column < dim; column += WARP) {
        const double x = key[column];
        squares += x * x;
    }
    for (u32 mask = WARP / 2; mask > 0; mask /= 2) {
        squares += shuffle_xor(squares, mask);
    }
    // The least norm is that of libtorch's `normalize`. NaN stays what it is.
    const double norm = sqrt(squares);
    const double inverse = 1.0 / (norm < 1e-12 ? 1e-12 : norm);
    const u32 until_end = queue_len - pointer;
    const u32 to = row < until_end ? pointer + row : row - until_end;
    Element* out = queue + static_cast<u64>(to) * dim;
    for (u32 column = lane; column < dim; column += WARP) {
        store(out + column, static_cast<float>(key[column] * inverse));
    }
    if (lane == 0 && ids != nullptr) {
        queue_ids[to] = ids[row];
    }
}

// Grid: one block for 8 keys. `ids` and `queue_ids` may both be null.
extern "C" __global__ void __launch_bounds__(256)
    enqueue_f16_v1(const float* keys, const i64* ids, u16* queue, i64* queue_ids, u32 n_keys, u32 dim, u32 queue_len,
                   u32 pointer) {
    enqueue(keys, ids, queue, queue_ids, n_keys, dim, queue_len, pointer);
}

// The same.
extern "C" __global__ void __launch_bounds__(256)
    enqueue_f32_v1(const float* keys, const i64* ids, float* queue, i64* queue_ids, u32 n_keys, u32 dim,
                   u32 queue_len, u32 pointer) {
    enqueue(keys, ids, queue, queue_ids, n_keys, dim, queue_len, pointer);
}
