// The instructions that the kernels use and C++ has no words for, one function each, and nothing else. No header of
// the toolkit is included, so that the run-time compiler needs none. Tests compile the kernels for the CPU with
// another file of this name, which computes the same with ordinary code (`kernels/tests/emulator`).

#pragma once

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using i64 = long long;

constexpr u32 WARP = 32;

// Dynamic shared memory of the block; its start is aligned to 1024 bytes, as the permutation of factors needs.
inline u8* shared_memory() {
    extern __shared__ __align__(1024) u8 memory[];
    return memory;
}

inline u32 shared_address(const void* pointer) {
    return static_cast<u32>(__cvta_generic_to_shared(pointer));
}

// Rounds to the nearest f16, ties to even.
inline u16 f16_from_f32(float x) {
    u16 bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}

inline float f32_from_f16(u16 bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}

// Two f16 in one register, `low` in the lower half.
inline u32 pack_f16(float low, float high) {
    u32 packed;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

// 2^x to 2 units in the last place; results below 2^-126 are 0.
inline float exp2_approximate(float x) {
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
    return power;
}

// `d += a * b` for the warp's tiles a [16 x 16], b [16 x 8] of f16 and d [16 x 8] of f32. With t = lane % 4 and
// r = lane / 4, a lane holds of a the pairs (row, column) (r, 2t), (r + 8, 2t), (r, 2t + 8), (r + 8, 2t + 8), each with
// its right neighbour; of b (2t, r) and (2t + 8, r), each with its lower neighbour; of d (r, 2t), (r, 2t + 1),
// (r + 8, 2t), (r + 8, 2t + 1).
inline void mma_f16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Loads four matrices [8 x 8] of f16 from shared memory: the lanes 8i to 8i + 7 give the addresses of the rows of matrix
// i, 16 bytes each, and `out[i]` becomes the pair at (lane / 4, 2 (lane % 4)) of it.
inline void load_matrices(u32 (&out)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// As `load_matrices`, each matrix transposed.
inline void load_matrices_transposed(u32 (&out)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// Starts to copy 16 bytes to shared memory, or to clear them if not `valid`; `from` must then be an address all the
// same. Both are aligned to 16 bytes.
inline void copy_async(void* to, const void* from, bool valid) {
    u32 bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes)
                 : "memory");
}

// Closes the group of copies that this thread has started since the last call.
inline void close_copies() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits until at most `OPEN` of the thread's groups are unfinished.
template <u32 OPEN>
inline void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(OPEN) : "memory");
}

// Loads from global memory: an address that comes from memory itself is not known to be global.
inline float4 load_global(const float4* address) {
    float4 x;
    asm volatile("ld.global.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w)
                 : "l"(__cvta_generic_to_global(address)));
    return x;
}

// As `load_global`, of what will not be needed again soon.
inline float4 load_streaming(const float4* address) {
    float4 x;
    asm volatile("ld.global.cs.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w)
                 : "l"(__cvta_generic_to_global(address)));
    return x;
}

inline void store_global(float4* address, const float4& x) {
    asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(address)), "f"(x.x),
                 "f"(x.y), "f"(x.z), "f"(x.w)
                 : "memory");
}

inline u32 shuffle_xor(u32 value, u32 mask) {
    return __shfl_xor_sync(0xffffffff, value, mask);
}

inline float shuffle_xor(float value, u32 mask) {
    return __shfl_xor_sync(0xffffffff, value, mask);
}

inline double shuffle_xor(double value, u32 mask) {
    return __shfl_xor_sync(0xffffffff, value, mask);
}

inline u64 shuffle_xor(u64 value, u32 mask) {
    return __shfl_xor_sync(0xffffffff, value, mask);
}

// The value of another lane of the warp.
inline u32 shuffle(u32 value, u32 lane) {
    return __shfl_sync(0xffffffff, value, lane);
}

inline u64 shuffle(u64 value, u32 lane) {
    return __shfl_sync(0xffffffff, value, lane);
}

// A bit for each lane where the condition holds.
inline u32 lanes_where(bool condition) {
    return __ballot_sync(0xffffffff, condition);
}

inline bool any_in_warp(bool condition) {
    return __any_sync(0xffffffff, condition);
}

inline u32 count_bits(u32 bits) {
    return __popc(bits);
}

// Orders the warp's accesses to memory before and after.
inline void sync_warp() {
    __syncwarp();
}

inline void sync_block() {
    __syncthreads();
}

// Whether the condition holds for some thread of the block; orders accesses as `sync_block` does.
inline bool any_in_block(bool condition) {
    return __syncthreads_or(condition);
}

inline u32 atomic_add(u32* address, u32 value) {
    return atomicAdd(address, value);
}

inline u64 atomic_add(u64* address, u64 value) {
    return atomicAdd(address, value);
}

inline u32 atomic_max(u32* address, u32 value) {
    return atomicMax(address, value);
}
