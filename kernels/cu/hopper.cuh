// The instructions of Hopper (sm_90a) that copy tensors and multiply tiles asynchronously, one function each, and nothing
// else, as in `ptx.cuh`; the emulator has its own file of this name, too.
//
// The copy engine and the tensor cores see shared memory through a proxy of their own: what ordinary stores wrote must
// pass `publish_to_async` in each writing thread, then a barrier.

#pragma once

#include "ptx.cuh"

// A tensor of rows as the copy engine knows it, made by the driver.
struct alignas(64) TensorMap {
    u64 words[16];
};

// A barrier in shared memory that counts arrivals and bytes. Its phases alternate between parity 0 and 1.
using Barrier = u64;

inline void init_barrier(Barrier* barrier, u32 n_arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(n_arrivals) : "memory");
}

// Makes the block's barriers known to the copy engine; a barrier of the block must follow.
inline void publish_barriers() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

inline void arrive(Barrier* barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// Arrives, and lets the phase wait for as many bytes as well.
inline void arrive_expecting(Barrier* barrier, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
                 : "memory");
}

// Waits until the phase of this parity has ended. The phase before the first has parity 1.
inline void wait_for_phase(Barrier* barrier, u32 parity) {
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@done bra over;\n"
        "bra again;\n"
        "over:\n"
        "}" ::"r"(shared_address(barrier)),
        "r"(parity)
        : "memory");
}

// Starts to copy a box of a tensor, whose first element is at this column and row, to shared memory; its bytes count at
// the barrier. What lies beyond the tensor becomes zeros, whose bytes count too.
inline void copy_box(void* to, const TensorMap& tensor, u32 column, u32 row, Barrier* barrier) {
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::
            "r"(shared_address(to)),
        "l"(&tensor), "r"(column), "r"(row), "r"(shared_address(barrier))
        : "memory");
}

// Shows this thread's ordinary stores to shared memory to the copy engine and the tensor cores.
inline void publish_to_async() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// Gives registers to this warpgroup, or takes them; `N` of each thread remain.
template <u32 N>
inline void grow_registers() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}

template <u32 N>
inline void shrink_registers() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}

// As `sync_block`, for the 128 threads of a warpgroup. Each warpgroup has a barrier `id` of its own, from 1 to 15.
inline void sync_warpgroup(u32 id) {
    asm volatile("bar.sync %0, 128;" ::"r"(id) : "memory");
}

// What the tensor cores are told of a factor in shared memory: rows of 64 f16, 128 bytes each, groups of 8 of them 1024
// bytes apart and aligned so, their 16-byte pieces permuted as in `stage_piece`. The next 16 columns of it are 2 further.
inline u64 factor(const void* rows) {
    return static_cast<u64>((shared_address(rows) & 0x3ffff) >> 4) | 1ull << 16 | 64ull << 32 | 1ull << 62;
}

// The same of rows that are the steps of the product: a [16 x 256] factor is 16 rows of 256 columns, which lie as boxes of 64
// columns, `box_bytes` from one to the next. The next 16 rows are 2048 bytes further.
inline u64 factor_of_rows(const void* rows, u32 box_bytes) {
    return static_cast<u64>((shared_address(rows) & 0x3ffff) >> 4) | static_cast<u64>(box_bytes / 16) << 16 | 64ull << 32
        | 1ull << 62;
}

// Orders the accumulators' ordinary accesses before the products that follow.
inline void open_products() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

inline void close_products() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// Waits for all products that the warpgroup has started.
inline void wait_for_products() {
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
}

#define ACCUMULATORS(j) "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])

// All 128 of a thread of a [64 x 256] product, and their names in the instruction.
#define ALL_ACCUMULATORS \
    ACCUMULATORS(0), ACCUMULATORS(1), ACCUMULATORS(2), ACCUMULATORS(3), \
    ACCUMULATORS(4), ACCUMULATORS(5), ACCUMULATORS(6), ACCUMULATORS(7), \
    ACCUMULATORS(8), ACCUMULATORS(9), ACCUMULATORS(10), ACCUMULATORS(11), \
    ACCUMULATORS(12), ACCUMULATORS(13), ACCUMULATORS(14), ACCUMULATORS(15), \
    ACCUMULATORS(16), ACCUMULATORS(17), ACCUMULATORS(18), ACCUMULATORS(19), \
    ACCUMULATORS(20), ACCUMULATORS(21), ACCUMULATORS(22), ACCUMULATORS(23), \
    ACCUMULATORS(24), ACCUMULATORS(25), ACCUMULATORS(26), ACCUMULATORS(27), \
    ACCUMULATORS(28), ACCUMULATORS(29), ACCUMULATORS(30), ACCUMULATORS(31)
#define ALL_OPERANDS \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, " \
    "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
    "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, " \
    "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
    "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

// Starts `d = a * b + (add ? d : 0)` for a [64 x 16], b [16 x 256] of f16 (see `factor`) and d [64 x 256] of f32. The
// accumulators may not be touched before they were waited for. A lane has the rows `16 (warp % 4) + lane / 4` and 8 below
// it; `d[j][2h + c]` is that of row h and column `8j + 2 (lane % 4) + c`.
inline void multiply_async(float (&d)[32][4], u64 a, u64 b, bool add) {
    asm volatile(
        "{\n"
        ".reg .pred add;\n"
        "setp.ne.b32 add, %130, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16 {" ALL_OPERANDS "}, "
        "%128, %129, add, 1, 1, 0, 0;\n"
        "}"
        : ALL_ACCUMULATORS
        : "l"(a), "l"(b), "r"(static_cast<u32>(add)));
}

// As `multiply_async`, with b [16 x 64] and d [64 x 64].
inline void multiply_async(float (&d)[8][4], u64 a, u64 b, bool add) {
    asm volatile(
        "{\n"
        ".reg .pred add;\n"
        "setp.ne.b32 add, %34, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "%32, %33, add, 1, 1, 0, 0;\n"
        "}"
        : ACCUMULATORS(0), ACCUMULATORS(1), ACCUMULATORS(2), ACCUMULATORS(3), ACCUMULATORS(4), ACCUMULATORS(5),
          ACCUMULATORS(6), ACCUMULATORS(7)
        : "l"(a), "l"(b), "r"(static_cast<u32>(add)));
}

// Starts `d += a * b` for a [64 x 16] in registers, each lane's as in `mma_f16`, b [16 x 256] whose rows lie in shared
// memory (see `factor_of_rows`), and d [64 x 256].
inline void multiply_async(float (&d)[32][4], const u32 (&a)[4], u64 b) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16 {" ALL_OPERANDS "}, "
        "{%128, %129, %130, %131}, %132, 1, 1, 1, 1;"
        : ALL_ACCUMULATORS
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

// Keeps the compiler from moving accesses of the accumulators across this point.
template <u32 N>
inline void hold(float (&d)[N][4]) {
#pragma unroll
    for (u32 j = 0; j < N; j++) {
        asm volatile("" : ACCUMULATORS(j)::"memory");
    }
}

// The same for a first factor in registers.
template <u32 N>
inline void hold(u32 (&a)[N][4]) {
#pragma unroll
    for (u32 k = 0; k < N; k++) {
        asm volatile("" : "+r"(a[k][0]), "+r"(a[k][1]), "+r"(a[k][2]), "+r"(a[k][3])::"memory");
    }
}

#undef ALL_OPERANDS
#undef ALL_ACCUMULATORS
#undef ACCUMULATORS
