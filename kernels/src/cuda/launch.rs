//! Every launch: one safe function a kernel, which checks all that the kernel relies on. None waits for its kernel. Docs name
//! the portable kernel, `NAME_f16_v1`; that of Hopper is `NAME_sm90a_v1`.

use bytemuck::{Pod, Zeroable};
use half::f16;

use super::gpu::{Argument, Gpu, Tensor};
use super::memory::{View, ViewMut};
use super::rows::{DeviceView, RowNumbers};
use super::source;
use super::upkeep::TensorPair;
use crate::KernelError;
use crate::id::CudaArch;

use Argument::{F32, F64, Pointer, U32};
use CudaArch::{Sm80, Sm90a};

/// How many rows of either side a block meets at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) queries: usize,
    pub(super) items: usize,
}

/// The tiles of a device's kernels that look at every score.
pub(super) fn score_tile(gpu: &dyn Gpu) -> Tile {
    Tile {
        queries: 128,
        items: match gpu.arch() {
            Sm80 => 128,
            Sm90a => 256,
        },
    }
}

/// Which of the kernels that sum weighted keys are used for rows of this length: those of Hopper keep queries of up to 512
/// columns in shared memory.
fn weigh_arch(gpu: &dyn Gpu, stride: usize) -> CudaArch {
    if stride <= 512 { gpu.arch() } else { Sm80 }
}

/// The tiles of the kernels that sum weighted keys.
pub(super) fn weigh_tile(gpu: &dyn Gpu, stride: usize) -> Tile {
    Tile {
        queries: match weigh_arch(gpu, stride) {
            Sm80 => 64,
            Sm90a => 128,
        },
        items: 64,
    }
}

/// Columns of the sums that a block of these kernels computes.
const WEIGH_SLICE: usize = 256;
/// Keys of a list of `top_k_f16_v1`.
pub(super) const LIST: usize = 32;
/// Most tiles of a chunk whose counts fit the counters of a block.
pub(super) const MAX_TILES: usize = 8191;
/// Entries that a block of `info_nce_survey_f16_v1` writes: one a warp.
pub(super) const SURVEY_WARPS: usize = 8;
/// Largest grid in y and z.
const MAX_GRID: usize = 65_535;

/// Starts `name`. The kinds of the arguments are compared with those that the kernel's text declares.
///
/// # Safety
/// With these arguments and this grid the kernel stays within memory that the caller may read and, where it writes,
/// write.
unsafe fn start(
    gpu: &dyn Gpu,
    name: &'static str,
    grid: [usize; 3],
    arguments: &[Argument],
) -> Result<(), KernelError> {
    let kernel = source::kernel(name);
    let kinds = arguments.iter().map(|argument| argument.parameter());
    assert!(
        kinds.eq(kernel.parameters.iter().copied()),
        "the arguments of {name} are {arguments:?}"
    );
    if grid.contains(&0) {
        return Ok(());
    }
    assert!(
        i32::try_from(grid[0]).is_ok() && grid[1].max(grid[2]) <= MAX_GRID,
        "{name} on a grid of {grid:?}"
    );
    // SAFETY: the kinds were compared; what memory the kernel touches is the caller's promise.
    unsafe { gpu.launch(kernel, grid.map(|n| n as u32), arguments) }
}

/// A number as kernels take it.
fn number(n: usize) -> Argument {
    U32(u32::try_from(n).expect("rows on a device are numbered with 32 bits"))
}

fn pointer<T>(view: View<'_, T>) -> Argument {
    Pointer(view.address())
}

fn pointer_or_null<T>(view: Option<View<'_, T>>) -> Argument {
    view.map_or(Pointer(0), pointer)
}

fn pointer_mut<T>(view: &ViewMut<'_, T>) -> Argument {
    Pointer(view.address())
}

/// Checks that rows have as many elements as their shape says, and that two sides fit each other.
fn check_rows(left: DeviceView<'_>, right: DeviceView<'_>) {
    for side in [left, right] {
        assert_eq!(side.data.len(), side.n_rows * side.stride, "elements of the rows");
        assert!(
            side.stride % 8 == 0 && side.data.address() % 16 == 0,
            "alignment of the rows"
        );
    }
    assert_eq!(left.stride, right.stride, "both sides have rows of one length");
}

/// Elements of one chunk of `ema_update`, a multiple of 4: so few that the last blocks to end leave little of the device
/// idle.
pub(super) const EMA_CHUNK: usize = 1 << 14;

/// Moves tensors: `ema_update_f32_v1` over `n_chunks` chunks of `pairs`.
///
/// # Safety
/// The memory that the pairs name may be read and, on the key side, written; no key element is among the others too.
/// Each pair has a block for each of its chunks, at least one: the first pair from block 0 on, each other one from the
/// end of the one before on, and all together have `n_chunks`.
pub(super) unsafe fn ema_update(
    gpu: &dyn Gpu,
    pairs: View<'_, TensorPair>,
    n_chunks: usize,
    weight: f32,
) -> Result<(), KernelError> {
    let arguments = [
        pointer(pairs),
        number(pairs.len()),
        number(EMA_CHUNK),
        F32(weight),
    ];
    // SAFETY: a block finds the pair that its number is of, and touches the elements of its chunk of it, which the caller
    // promised.
    unsafe { start(gpu, "ema_update_f32_v1", [n_chunks, 1, 1], &arguments) }
}

/// The rows of a queue, on the device.
pub(super) enum QueueView<'a> {
    F16(ViewMut<'a, f16>),
    F32(ViewMut<'a, f32>),
}

/// Normalises keys `[n_keys, dim]` and writes them into a queue `[queue_len, dim]` from row `at` on, and their ids, if given, into
/// those of the queue: `enqueue_f16_v1` or `enqueue_f32_v1`.
pub(super) fn enqueue(
    gpu: &dyn Gpu,
    keys: View<'_, f32>,
    [n_keys, dim]: [usize; 2],
    queue: &QueueView<'_>,
    queue_len: usize,
    ids: Option<(View<'_, i64>, &ViewMut<'_, i64>)>,
    at: usize,
) -> Result<(), KernelError> {
    let (name, queue, queue_elements) = match queue {
        QueueView::F16(queue) => ("enqueue_f16_v1", pointer_mut(queue), queue.len()),
        QueueView::F32(queue) => ("enqueue_f32_v1", pointer_mut(queue), queue.len()),
    };
    assert!(
        keys.len() == n_keys * dim && queue_elements == queue_len * dim,
        "shapes of keys and queue"
    );
    let [ids, queue_ids] = match ids {
        Some((ids, queue_ids)) => {
            assert!(
                ids.len() == n_keys && queue_ids.len() == queue_len,
                "numbers of ids"
            );
            [pointer(ids), pointer_mut(queue_ids)]
        }
        None => [Pointer(0); 2],
    };
    assert!(
        n_keys <= queue_len && at < queue_len,
        "{n_keys} keys at {at} of {queue_len}"
    );
    let arguments = [
        pointer(keys),
        ids,
        queue,
        queue_ids,
        number(n_keys),
        number(dim),
        number(queue_len),
        number(at),
    ];
    // SAFETY: the shapes agree, as was just checked, and there are at most as many keys as rows, so that the kernel
    // stays within the views that there are; it writes to the mutable ones.
    unsafe { start(gpu, name, [n_keys.div_ceil(8), 1, 1], &arguments) }
}

/// Scores of single pairs, `pair_scores_f16_v1`: the numbers of a pair's rows lie at its place in both lists.
pub(super) fn pair_scores(
    gpu: &dyn Gpu,
    [left, right]: [DeviceView<'_>; 2],
    [left_numbers, right_numbers]: [&RowNumbers; 2],
    out: &ViewMut<'_, f32>,
) -> Result<(), KernelError> {
    check_rows(left, right);
    for (side, numbers) in [(left, left_numbers), (right, right_numbers)] {
        assert!(
            numbers.end() <= side.n_rows && numbers.len() == out.len(),
            "{} rows, {} numbers below {}, {} scores",
            side.n_rows,
            numbers.len(),
            numbers.end(),
            out.len()
        );
    }
    let arguments = [
        pointer(left.data),
        pointer_or_null(left_numbers.view()),
        pointer(right.data),
        pointer_or_null(right_numbers.view()),
        number(left.stride),
        number(out.len()),
        pointer_mut(out),
    ];
    let (name, pairs_per_block) = match gpu.arch() {
        Sm80 => ("pair_scores_f16_v1", 32),
        Sm90a => ("pair_scores_sm90a_v1", 64),
    };
    // SAFETY: there are as many numbers as pairs, all of them of rows that are there, as was just checked; the kernel writes
    // one element of `out` a pair.
    unsafe { start(gpu, name, [out.len().div_ceil(pairs_per_block), 1, 1], &arguments) }
}

/// How a gallery is cut: `tiles_per_chunk` tiles a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunks {
    /// Tiles of one chunk.
    pub(super) tiles: usize,
    /// Number of chunks.
    pub(super) n: usize,
}

impl Chunks {
    /// Cuts `n_items` into chunks of `tiles` tiles of `tile` items.
    pub(super) fn new(n_items: usize, tile: usize, tiles: usize) -> Self {
        Self {
            tiles,
            n: n_items.div_ceil(tile).div_ceil(tiles),
        }
    }
}

/// The first arguments of every kernel of `arch` that meets queries with chunks of a gallery, tile by tile, and its grid.
/// All of these kernels stay within both sides' rows if they are as long as their numbers say, which is checked here.
fn sweep(
    arch: CudaArch,
    query: DeviceView<'_>,
    gallery: DeviceView<'_>,
    tile: Tile,
    chunks: Chunks,
) -> (Vec<Argument>, [usize; 3]) {
    check_rows(query, gallery);
    assert_eq!(
        chunks,
        Chunks::new(gallery.n_rows, tile.items, chunks.tiles),
        "chunks of the gallery"
    );
    let rows = |side: DeviceView<'_>, box_rows| match arch {
        Sm80 => pointer(side.data),
        Sm90a => {
            assert!(
                i32::try_from(side.n_rows).is_ok(),
                "a box begins at a row of 31 bits"
            );
            Argument::Tensor(Tensor {
                address: side.data.address(),
                n_rows: side.n_rows,
                stride: side.stride,
                box_rows,
            })
        }
    };
    let arguments = vec![
        rows(query, tile.queries),
        number(query.n_rows),
        rows(gallery, tile.items),
        number(gallery.n_rows),
        number(query.stride),
        number(chunks.tiles),
    ];
    (arguments, [query.n_rows.div_ceil(tile.queries), chunks.n, 1])
}

/// Checks ids of queries and gallery, and gives their addresses.
fn ids_of_both(ids: [View<'_, u32>; 2], query: DeviceView<'_>, gallery: DeviceView<'_>) -> [Argument; 2] {
    let lens = ids.map(|ids| ids.len());
    assert_eq!(lens, [query.n_rows, gallery.n_rows], "ids of both sides");
    ids.map(pointer)
}

/// Counters and thresholds of one side of a tile's rows.
pub(super) struct Counters<'a> {
    pub(super) thresholds: View<'a, f32>,
    pub(super) greater: ViewMut<'a, u32>,
    pub(super) equal: ViewMut<'a, u32>,
}

impl Counters<'_> {
    fn check(&self, n: usize) {
        let lens = [self.thresholds.len(), self.greater.len(), self.equal.len()];
        assert_eq!(lens, [n; 3], "counters of a side");
    }
}

/// Counts one gallery against one set of queries: a variant of `rank_counts_f16_v1`. Ids are of the queries, then of the
/// gallery.
pub(super) fn rank_counts(
    gpu: &dyn Gpu,
    query: DeviceView<'_>,
    gallery: DeviceView<'_>,
    chunks: Chunks,
    t2v: &Counters<'_>,
    v2t: Option<&Counters<'_>>,
    ids: Option<[View<'_, u32>; 2]>,
) -> Result<(), KernelError> {
    let (mut arguments, grid) = sweep(gpu.arch(), query, gallery, score_tile(gpu), chunks);
    t2v.check(query.n_rows);
    assert!((1..=MAX_TILES).contains(&chunks.tiles), "{chunks:?}");
    arguments.push(pointer(t2v.thresholds));
    if let Some(v2t) = v2t {
        v2t.check(gallery.n_rows);
        arguments.push(pointer(v2t.thresholds));
    }
    if let Some(ids) = ids {
        arguments.extend(ids_of_both(ids, query, gallery));
    }
    arguments.extend([pointer_mut(&t2v.greater), pointer_mut(&t2v.equal)]);
    if let Some(v2t) = v2t {
        arguments.extend([pointer_mut(&v2t.greater), pointer_mut(&v2t.equal)]);
    }
    let name = match (gpu.arch(), v2t.is_some(), ids.is_some()) {
        (Sm80, false, false) => "rank_counts_f16_v1",
        (Sm80, false, true) => "rank_counts_f16_v1_ids",
        (Sm80, true, false) => "rank_counts_f16_v1_both",
        (Sm80, true, true) => "rank_counts_f16_v1_both_ids",
        (Sm90a, false, false) => "rank_counts_sm90a_v1",
        (Sm90a, false, true) => "rank_counts_sm90a_v1_ids",
        (Sm90a, true, false) => "rank_counts_sm90a_v1_both",
        (Sm90a, true, true) => "rank_counts_sm90a_v1_both_ids",
    };
    // SAFETY: rows, thresholds, ids and counters have the lengths that the two numbers of rows say, as was just checked,
    // and the kernel goes beyond none of them; a chunk has so few tiles that its counters do not overflow. It writes to
    // the mutable views.
    unsafe { start(gpu, name, grid, &arguments) }
}

/// Writes the scores `[n_queries, n_gallery]`: `scores_f16_v1`.
pub(super) fn scores(
    gpu: &dyn Gpu,
    query: DeviceView<'_>,
    gallery: DeviceView<'_>,
    chunks: Chunks,
    out: &ViewMut<'_, f32>,
) -> Result<(), KernelError> {
    let (mut arguments, grid) = sweep(gpu.arch(), query, gallery, score_tile(gpu), chunks);
    assert_eq!(out.len(), query.n_rows * gallery.n_rows, "shape of the scores");
    arguments.push(pointer_mut(out));
    let name = match gpu.arch() {
        Sm80 => "scores_f16_v1",
        Sm90a => "scores_sm90a_v1",
    };
    // SAFETY: rows and scores have the lengths that the two numbers of rows say, as was just checked; the kernel writes
    // to `out`.
    unsafe { start(gpu, name, grid, &arguments) }
}

/// Puts the best `k` items below `bounds` into `lists [>= chunks, n_queries, 32]`: `top_k_f16_v1`. Items are numbered
/// from `first_item` on.
#[expect(clippy::too_many_arguments, reason = "they are the kernel's")]
pub(super) fn top_k(
    gpu: &dyn Gpu,
    query: DeviceView<'_>,
    gallery: DeviceView<'_>,
    chunks: Chunks,
    first_item: usize,
    k: usize,
    bounds: View<'_, u64>,
    lists: &ViewMut<'_, u64>,
) -> Result<(), KernelError> {
    let (mut arguments, grid) = sweep(gpu.arch(), query, gallery, score_tile(gpu), chunks);
    assert!(
        (1..=LIST).contains(&k) && bounds.len() == query.n_rows,
        "k {k}, {} bounds",
        bounds.len()
    );
    assert!(
        lists.len() >= chunks.n * query.n_rows * LIST,
        "{} keys for the lists of {chunks:?}",
        lists.len()
    );
    assert!(
        u32::try_from(first_item + gallery.n_rows).is_ok(),
        "items are numbered with 32 bits"
    );
    arguments.extend([number(first_item), number(k), pointer(bounds), pointer_mut(lists)]);
    let name = match gpu.arch() {
        Sm80 => "top_k_f16_v1",
        Sm90a => "top_k_sm90a_v1",
    };
    // SAFETY: rows, bounds and lists have the lengths that the numbers of rows and chunks say, as was just checked; the
    // kernel writes to `lists`.
    unsafe { start(gpu, name, grid, &arguments) }
}

/// Merges `lists [n_chunks, n_queries, 32]`: the first `n` keys of each query go to the beginning of its row of
/// `out [n_queries, k]`, which may begin within the first row, and the last of them to `bounds`: `top_k_merge_v1`.
pub(super) fn merge_lists(
    gpu: &dyn Gpu,
    lists: View<'_, u64>,
    n_chunks: usize,
    n: usize,
    k: usize,
    bounds: &ViewMut<'_, u64>,
    out: &ViewMut<'_, u64>,
) -> Result<(), KernelError> {
    let n_queries = bounds.len();
    assert!(
        n_queries > 0 && n_chunks > 0 && lists.len() == n_chunks * n_queries * LIST,
        "lists of {n_chunks} chunks"
    );
    assert!(
        (1..=LIST.min(k)).contains(&n) && out.len() >= (n_queries - 1) * k + n,
        "{n} of {k} keys of {n_queries} queries in {}",
        out.len()
    );
    let arguments = [
        pointer(lists),
        number(n_queries),
        number(n_chunks),
        number(n),
        number(k),
        pointer_mut(bounds),
        pointer_mut(out),
    ];
    // SAFETY: lists and rows of keys have the lengths that the numbers say, as was just checked; the kernel writes to `n`
    // keys of each row and to the bounds.
    unsafe { start(gpu, "top_k_merge_v1", [n_queries.div_ceil(8), 1, 1], &arguments) }
}

/// Keys of an InfoNCE term and which of them take part.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    pub(super) rows: DeviceView<'a>,
    /// Of the queries, then of the keys.
    pub(super) ids: Option<[View<'a, u32>; 2]>,
    /// Whether the keys are the queries' own, one each, which then take no part.
    pub(super) in_batch: bool,
}

impl Keys<'_> {
    /// The first arguments of the kernels of a term, and their grid.
    fn sweep(
        &self,
        arch: CudaArch,
        query: DeviceView<'_>,
        tile: Tile,
        chunks: Chunks,
    ) -> (Vec<Argument>, [usize; 3]) {
        let (mut arguments, grid) = sweep(arch, query, self.rows, tile, chunks);
        let ids = self.ids.map(|ids| ids_of_both(ids, query, self.rows));
        arguments.extend(ids.unwrap_or([Pointer(0); 2]));
        arguments.push(U32(u32::from(self.in_batch)));
        (arguments, grid)
    }
}

/// What is told of an InfoNCE term: a [`WarpSurvey`] or a [`QueryTerm`], so that all is read at once.
pub(super) type Entry = [u64; 2];

/// What a warp of `info_nce_survey_f16_v1` has seen, an [`Entry`].
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct WarpSurvey {
    /// Sum of its scores.
    pub(super) sum: f64,
    /// Pairs that take no part.
    pub(super) n_left_out: u64,
}

/// Finds each query's best score among keys, `best [n_queries]`, and what each warp has seen: `info_nce_survey_f16_v1`.
pub(super) fn survey(
    gpu: &dyn Gpu,
    query: DeviceView<'_>,
    keys: Keys<'_>,
    chunks: Chunks,
    best: &ViewMut<'_, u32>,
    warps: &ViewMut<'_, Entry>,
) -> Result<(), KernelError> {
    let (mut arguments, grid) = keys.sweep(gpu.arch(), query, score_tile(gpu), chunks);
    let n_warps = grid[0] * grid[1] * SURVEY_WARPS;
    assert_eq!(
        [best.len(), warps.len()],
        [query.n_rows, n_warps],
        "room for the survey"
    );
    arguments.extend([pointer_mut(best), pointer_mut(warps)]);
    let name = match gpu.arch() {
        Sm80 => "info_nce_survey_f16_v1",
        Sm90a => "info_nce_survey_sm90a_v1",
    };
    // SAFETY: rows, ids and results have the lengths that the numbers of rows and chunks say, as was just checked; the
    // kernel writes to both results.
    unsafe { start(gpu, name, grid, &arguments) }
}

/// What weights are relative to.
pub(super) enum Weights<'a, 'b> {
    /// Each query's best score; the sums of the weights are added to.
    OfQueries {
        best: View<'a, u32>,
        sums: &'a ViewMut<'b, u64>,
    },
    /// Each key's best score, and a factor that is at most 1.
    OfKeys {
        best: View<'a, u32>,
        factors: View<'a, f32>,
    },
}

/// Sums keys by their weights into `out [chunks, n_queries, stride]`: a variant of `info_nce_weigh_f16_v1`.
pub(super) fn weigh(
    gpu: &dyn Gpu,
    query: DeviceView<'_>,
    keys: Keys<'_>,
    chunks: Chunks,
    scale: f32,
    weights: &Weights<'_, '_>,
    out: &ViewMut<'_, f32>,
) -> Result<(), KernelError> {
    let (arch, tile) = (weigh_arch(gpu, query.stride), weigh_tile(gpu, query.stride));
    let (mut arguments, [x, y, _]) = keys.sweep(arch, query, tile, chunks);
    assert_eq!(
        out.len(),
        chunks.n * query.n_rows * query.stride,
        "room for the sums"
    );
    let [first, second] = match weights {
        Weights::OfQueries { best, sums } => {
            assert_eq!([best.len(), sums.len()], [query.n_rows; 2], "bests and sums");
            [pointer(*best), pointer_mut(sums)]
        }
        Weights::OfKeys { best, factors } => {
            assert_eq!(
                [best.len(), factors.len()],
                [keys.rows.n_rows; 2],
                "bests and factors"
            );
            [pointer(*best), pointer(*factors)]
        }
    };
    let name = match (arch, weights) {
        (Sm80, Weights::OfQueries { .. }) => "info_nce_weigh_f16_v1",
        (Sm80, Weights::OfKeys { .. }) => "info_nce_weigh_f16_v1_columns",
        (Sm90a, Weights::OfQueries { .. }) => "info_nce_weigh_sm90a_v1",
        (Sm90a, Weights::OfKeys { .. }) => "info_nce_weigh_sm90a_v1_columns",
    };
    arguments.extend([F32(scale), first, second, pointer_mut(out)]);
    let grid = [x, y, query.stride.div_ceil(WEIGH_SLICE)];
    // SAFETY: rows, ids, bests, factors and sums have the lengths that the numbers of rows and chunks say, as was just
    // checked; the kernel writes to `out` and, for queries, to their sums.
    unsafe { start(gpu, name, grid, &arguments) }
}

/// What is known of a query's term, an [`Entry`].
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct QueryTerm {
    pub(super) loss: f64,
    /// Score of its positive.
    pub(super) own: f32,
    /// Ordered bits of its best negative's score; 0 if there is none.
    pub(super) best: u32,
}

/// What each row of sums is multiplied by.
pub(super) enum Factors<'a> {
    OfRows(View<'a, f32>),
    OfAll(f32),
}

/// Where `info_nce_shares_v1` writes, all `[n_queries]`.
pub(super) struct Shares<'a> {
    /// Each a [`QueryTerm`].
    pub(super) terms: ViewMut<'a, Entry>,
    /// Of the sum of weighted keys in the gradient by the query.
    pub(super) sum_factors: ViewMut<'a, f32>,
    /// Of the positive in that gradient, and of the query in the one by the positive.
    pub(super) own_factors: ViewMut<'a, f32>,
    /// Share of the best negative among all keys.
    pub(super) best_shares: ViewMut<'a, f32>,
}

/// Makes losses and the factors of the gradients: `info_nce_shares_v1`. `own` are scores, `best` their ordered bits.
pub(super) fn shares(
    gpu: &dyn Gpu,
    own: View<'_, f32>,
    best: View<'_, u32>,
    weight_sums: View<'_, u64>,
    temperature: f64,
    out: &Shares<'_>,
) -> Result<(), KernelError> {
    let n = own.len();
    let lens = [
        best.len(),
        weight_sums.len(),
        out.terms.len(),
        out.sum_factors.len(),
        out.own_factors.len(),
        out.best_shares.len(),
    ];
    assert_eq!(lens, [n; 6], "one of each a query");
    let arguments = [
        pointer(own),
        pointer(best),
        pointer(weight_sums),
        number(n),
        F64(temperature),
        pointer_mut(&out.terms),
        pointer_mut(&out.sum_factors),
        pointer_mut(&out.own_factors),
        pointer_mut(&out.best_shares),
    ];
    // SAFETY: all lengths were just checked; the kernel writes one element of the four results a thread.
    unsafe { start(gpu, "info_nce_shares_v1", [n.div_ceil(256), 1, 1], &arguments) }
}

/// Makes gradients `[n, dim]` of sums of keys `[n_chunks, n, stride]`: `info_nce_gradient_f32_v1`.
#[expect(clippy::too_many_arguments, reason = "they are the kernel's")]
pub(super) fn gradient(
    gpu: &dyn Gpu,
    key_sums: View<'_, f32>,
    n_chunks: usize,
    own: DeviceView<'_>,
    dim: usize,
    sum_factors: &Factors<'_>,
    own_factors: View<'_, f32>,
    out: &ViewMut<'_, f32>,
) -> Result<(), KernelError> {
    check_rows(own, own);
    let n = own.n_rows;
    assert!(
        dim <= own.stride && key_sums.len() == n_chunks * n * own.stride,
        "shape of the sums"
    );
    assert_eq!(
        [own_factors.len(), out.len()],
        [n, n * dim],
        "factors and gradient"
    );
    let (factors, factor) = match sum_factors {
        Factors::OfRows(factors) => {
            assert_eq!(factors.len(), n, "factors of the sums");
            (pointer(*factors), 0.0)
        }
        Factors::OfAll(factor) => (Pointer(0), *factor),
    };
    let arguments = [
        pointer(key_sums),
        number(n_chunks),
        pointer(own.data),
        number(n),
        number(dim),
        number(own.stride),
        factors,
        F32(factor),
        pointer(own_factors),
        pointer_mut(out),
    ];
    // SAFETY: all lengths were just checked; the kernel writes one element of `out` a thread.
    unsafe {
        start(
            gpu,
            "info_nce_gradient_f32_v1",
            [(n * dim).div_ceil(256), 1, 1],
            &arguments,
        )
    }
}
