// Takes the place of the `hopper.cuh` in `kernels/cu`, as the `ptx.cuh` beside it does of that.
//
// The copy engine brings boxes when nothing else can go on, or at random before; what a box will overwrite is destroyed when
// its copy starts. Products are computed when they are waited for, each thread's own, and accumulators are NaN until then.
// That ordinary stores must be shown to the copy engine and the tensor cores cannot be seen here.

#pragma once

#include "ptx.cuh"

struct TensorMap {
    u64 address, n_rows, stride, box_rows;
};

using Barrier = u64;

namespace emulator {

// What lies in the 8 bytes of a barrier.
struct BarrierState {
    int bytes;
    u8 n_arrivals, n_missing, parity;
};
static_assert(sizeof(BarrierState) == sizeof(Barrier));

struct Waiting {
    u32 thread;
    Barrier* barrier;
    u32 parity;
};

struct Box {
    u32 to;
    TensorMap tensor;
    u32 column, row;
    Barrier* barrier;
};

// `d += a * b`, of which a thread computes its own; `d` holds NaN meanwhile.
struct Product {
    float (*d)[4];
    u32 n_columns;
    bool a_in_registers, add;
    u64 a, b;
    u32 a_pairs[4];
    // Its group is closed, so that it can be waited for.
    bool closed = false;
};

inline std::vector<Waiting> waiting;
inline std::vector<Box> boxes;
inline std::vector<u32> at_named_barrier[16];
// Of each thread, and what its accumulators were when the first of them started.
inline std::vector<std::vector<Product>> products;
inline std::vector<std::vector<float>> accumulators;
// Threads that have ordered their accumulators before products since they last waited.
inline std::vector<bool> opened;

inline u32 offset_in_shared(const void* address) {
    check_shared(address, 16);
    return static_cast<u32>(static_cast<const u8*>(address) - shared.data());
}

// Where the byte lies that would be at `offset` if pieces of 16 bytes were not permuted by their row of 128 bytes.
inline u8* permuted(u32 offset) {
    const u32 place = offset ^ (offset >> 7 & 7) << 4;
    if (place + 2 > shared.size()) {
        fail("a factor or a box reaches beyond shared memory");
    }
    return shared.data() + place;
}

inline BarrierState load(const Barrier* barrier) {
    BarrierState state;
    std::memcpy(&state, barrier, sizeof state);
    return state;
}

// Stores the state; a phase that is complete ends, and wakes who waited for it.
inline void store(Barrier* barrier, BarrierState state) {
    const bool complete = state.n_missing == 0 && state.bytes == 0;
    if (complete) {
        state.n_missing = state.n_arrivals;
        state.parity ^= 1;
    }
    std::memcpy(barrier, &state, sizeof state);
    if (complete) {
        for (size_t i = waiting.size(); i-- > 0;) {
            if (waiting[i].barrier == barrier && waiting[i].parity != state.parity) {
                ready.push_back(waiting[i].thread);
                waiting.erase(waiting.begin() + i);
            }
        }
    }
}

inline void arrive(Barrier* barrier, int bytes) {
    BarrierState state = load(barrier);
    if (state.n_missing == 0) {
        fail("more arrivals at a barrier than it waits for");
    }
    state.bytes += bytes;
    state.n_missing--;
    store(barrier, state);
}

// Brings one box, drawn at random.
inline void bring_box() {
    if (boxes.empty()) {
        return;
    }
    const size_t at = next_random() % boxes.size();
    const Box box = boxes[at];
    boxes.erase(boxes.begin() + at);
    const u16* rows = reinterpret_cast<const u16*>(box.tensor.address);
    for (u32 r = 0; r < box.tensor.box_rows; r++) {
        for (u32 c = 0; c < 64; c++) {
            const u64 row = static_cast<u64>(box.row) + r, column = static_cast<u64>(box.column) + c;
            const bool there = row < box.tensor.n_rows && column < box.tensor.stride;
            const u16 value = there ? rows[row * box.tensor.stride + column] : 0;
            std::memcpy(permuted(box.to + r * 128 + c * 2), &value, 2);
        }
    }
    BarrierState state = load(box.barrier);
    state.bytes -= static_cast<int>(box.tensor.box_rows * 128);
    store(box.barrier, state);
}

// Whether nothing is under way that a block must not leave behind.
inline bool is_quiet() {
    const auto is_empty = [](const auto& list) { return list.empty(); };
    return boxes.empty() && waiting.empty() && std::all_of(products.begin(), products.end(), is_empty)
        && std::all_of(std::begin(at_named_barrier), std::end(at_named_barrier), is_empty);
}

// Brings boxes until some thread can go on.
inline void bring_boxes() {
    while (ready.empty() && !boxes.empty()) {
        bring_box();
    }
}

// Where a factor begins, and the bytes from one of its boxes to the next.
inline u32 factor_start(u64 factor) {
    const u32 start = static_cast<u32>(factor & 0x3fff) * 16;
    if (start / 128 % 8 != 0) {
        fail("a factor does not begin where its permutation does");
    }
    return start;
}

inline float value_at(u32 offset) {
    u16 bits;
    std::memcpy(&bits, permuted(offset), 2);
    return f16_values()[bits];
}

inline void compute(const Product& product, float* d) {
    const u32 lane = current % WARP, warp = current / WARP % 4;
    double left[2][16];
    for (u32 h = 0; h < 2; h++) {
        const u32 row = 16 * warp + lane / 4 + 8 * h;
        for (u32 k = 0; k < 16; k++) {
            left[h][k] = product.a_in_registers ? 0.0 : value_at(factor_start(product.a) + row * 128 + k * 2);
        }
    }
    if (product.a_in_registers) {
        // The other pairs of a row are those of the other lanes of its four.
        for (u32 of = 0; of < 4; of++) {
            const Product& other = products[current - lane % 4 + of].at(&product - products[current].data());
            for (u32 i = 0; i < 4; i++) {
                for (u32 c = 0; c < 2; c++) {
                    left[i % 2][i / 2 * 8 + 2 * of + c] = f16_values()[other.a_pairs[i] >> 16 * c & 0xffff];
                }
            }
        }
    }
    const u32 start = factor_start(product.b), box_bytes = static_cast<u32>(product.b >> 16 & 0x3fff) * 16;
    for (u32 j = 0; j < product.n_columns / 8; j++) {
        for (u32 c = 0; c < 2; c++) {
            const u32 column = 8 * j + 2 * (lane % 4) + c;
            double right[16];
            bool some = false;
            for (u32 k = 0; k < 16; k++) {
                right[k] = product.a_in_registers
                    ? value_at(start + column / 64 * box_bytes + k * 128 + column % 64 * 2)
                    : value_at(start + column * 128 + k * 2);
                some |= right[k] != 0.0;
            }
            for (u32 h = 0; h < 2; h++) {
                float& out = d[4 * j + 2 * h + c];
                double sum = product.add ? out : 0.0;
                // Rows beyond the tensor are many, and add nothing.
                for (u32 k = 0; some && k < 16; k++) {
                    sum += left[h][k] * right[k];
                }
                out = truncated(sum);
            }
        }
    }
}

inline void start_product(const Product& product) {
    if (current >= opened.size() || !opened[current]) {
        fail("a product before its accumulators are ordered");
    }
    products.resize(threads.size());
    accumulators.resize(threads.size());
    const u32 n = product.n_columns / 2;
    if (products[current].empty()) {
        accumulators[current].assign(product.d[0], product.d[0] + n);
    } else if (products[current][0].d != product.d) {
        fail("products of two sets of accumulators at once");
    }
    products[current].push_back(product);
    std::fill(product.d[0], product.d[0] + n, NAN);
}

} // namespace emulator

inline void init_barrier(Barrier* barrier, u32 n_arrivals) {
    const emulator::BarrierState state = {0, static_cast<u8>(n_arrivals), static_cast<u8>(n_arrivals), 0};
    std::memcpy(barrier, &state, sizeof state);
    emulator::work_beside = emulator::bring_boxes;
    emulator::is_block_quiet = emulator::is_quiet;
}

inline void publish_barriers() {}

inline void arrive(Barrier* barrier) {
    emulator::arrive(barrier, 0);
}

inline void arrive_expecting(Barrier* barrier, u32 bytes) {
    emulator::arrive(barrier, static_cast<int>(bytes));
}

inline void wait_for_phase(Barrier* barrier, u32 parity) {
    if (emulator::next_random() % 4 == 0) {
        emulator::bring_box();
    }
    if (emulator::load(barrier).parity == parity) {
        emulator::waiting.push_back({emulator::current, barrier, parity});
        emulator::hand_over();
    }
}

inline void copy_box(void* to, const TensorMap& tensor, u32 column, u32 row, Barrier* barrier) {
    const u32 start = emulator::offset_in_shared(to);
    if (column >> 31 || row >> 31) {
        emulator::fail("a box begins beyond 31 bits");
    }
    if (start % 1024 != 0 || tensor.address % 16 != 0 || tensor.stride % 8 != 0) {
        emulator::fail("a box or its tensor is not aligned");
    }
    for (u32 i = 0; i < tensor.box_rows * 64; i++) {
        std::memset(emulator::permuted(start + 2 * i), 0xff, 2);
    }
    emulator::boxes.push_back({start, tensor, column, row, barrier});
}

inline void publish_to_async() {}

template <u32 N>
inline void grow_registers() {}

template <u32 N>
inline void shrink_registers() {}

inline void sync_warpgroup(u32 id) {
    if (id == 0 || id > 15) {
        emulator::fail("no barrier has this number");
    }
    auto& others = emulator::at_named_barrier[id];
    if (others.size() + 1 == 128) {
        emulator::ready.insert(emulator::ready.end(), others.begin(), others.end());
        others.clear();
    } else {
        others.push_back(emulator::current);
        emulator::hand_over();
    }
}

inline u64 factor(const void* rows) {
    return emulator::offset_in_shared(rows) / 16;
}

inline u64 factor_of_rows(const void* rows, u32 box_bytes) {
    return emulator::offset_in_shared(rows) / 16 | static_cast<u64>(box_bytes / 16) << 16;
}

inline void open_products() {
    emulator::opened.resize(emulator::threads.size());
    emulator::opened[emulator::current] = true;
}

inline void close_products() {
    for (auto& product : emulator::products[emulator::current]) {
        product.closed = true;
    }
}

inline void wait_for_products() {
    // All lanes have started theirs.
    sync_warp();
    auto& own = emulator::products[emulator::current];
    if (own.empty()) {
        return;
    }
    auto& d = emulator::accumulators[emulator::current];
    emulator::opened[emulator::current] = false;
    for (const auto& product : own) {
        if (!product.closed) {
            emulator::fail("waits for a product whose group is open");
        }
        emulator::compute(product, d.data());
    }
    std::copy(d.begin(), d.end(), own[0].d[0]);
    // All lanes have read each other's factors.
    sync_warp();
    own.clear();
}

inline void multiply_async(float (&d)[32][4], u64 a, u64 b, bool add) {
    emulator::start_product({d, 256, false, add, a, b, {}});
}

inline void multiply_async(float (&d)[8][4], u64 a, u64 b, bool add) {
    emulator::start_product({d, 64, false, add, a, b, {}});
}

inline void multiply_async(float (&d)[32][4], const u32 (&a)[4], u64 b) {
    emulator::start_product({d, 256, true, true, 0, b, {a[0], a[1], a[2], a[3]}});
}

template <class T, u32 N>
inline void hold(T (&)[N][4]) {}
