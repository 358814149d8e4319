//! InfoNCE of a batch against its positives, a queue of negatives and, on request, the other positives of the
//! batch: loss and gradients without the matrix of logits (MoCo, arXiv 1911.05722, equation 1).

use crate::kernel::Kernel;
use crate::scores::check_len;
use crate::{KernelError, Rows};

/// Most negatives of one query: more could make a sum of weights inexact.
pub const MAX_NEGATIVES: usize = 1 << 22;

/// What shows the same thing. A negative whose id is the query's takes no part; -1 in the queue matches nobody.
#[derive(Debug, Clone, Copy)]
pub struct ContrastIds<'a> {
    /// One id a query, at least 0; row `i` of the positives has the same one.
    pub batch: &'a [i64],
    /// One id a queue row, at least -1.
    pub queue: &'a [i64],
}

/// One InfoNCE term.
#[derive(Debug, Clone, Copy)]
pub struct InfoNceJob<'a> {
    /// Query rows `[batch, dim]`, used in f32 as given; CUDA kernels convert them to f16.
    pub query: Rows<'a>,
    /// Row `i` is the positive key of query `i`, `[batch, dim]`, used as the queries are.
    pub positive: Rows<'a>,
    /// Negatives `[queue_len, dim]`, converted to the kernel's element type; may be empty.
    pub queue: Rows<'a>,
    /// Whether the other positives of the batch are negatives too.
    pub in_batch: bool,
    /// Whether the gradient by the positives is asked for.
    pub positive_gradient: bool,
    /// Negatives to leave out.
    pub ids: Option<ContrastIds<'a>>,
    /// `T > 0` in `logits = <query, key> / T`.
    pub temperature: f64,
}

/// Loss, gradients and what else is cheap to know of one [`InfoNceJob`].
#[derive(Debug, Clone, PartialEq)]
pub struct InfoNceOutput {
    /// `-log(exp(s_i / T) / (exp(s_i / T) + sum_n exp(s_in / T)))` of each query. It is the same, bit for bit,
    /// whatever the order of the queue, the rest of the batch and the number of threads (libtorch back ends
    /// cannot promise this).
    pub losses: Vec<f64>,
    /// Gradient of the mean loss by the queries `[batch, dim]`.
    pub query_gradient: Vec<f32>,
    /// Gradient of the mean loss by the positives `[batch, dim]`, if asked for.
    pub positive_gradient: Option<Vec<f32>>,
    /// Queries whose positive scores above every negative.
    pub n_hits: u64,
    /// Sum of the positives' scores.
    pub positive_sum: f64,
    /// Sum of the negatives' scores, over all queries.
    pub negative_sum: f64,
    /// Negatives that took part, over all queries.
    pub n_negatives: u64,
}

impl InfoNceOutput {
    /// Mean loss of the batch.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.losses.iter().sum::<f64>() / self.losses.len() as f64
    }

    /// Share of the queries whose positive scores above every negative.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        self.n_hits as f64 / self.losses.len() as f64
    }

    /// Mean score of the positives.
    #[must_use]
    pub fn positive_mean(&self) -> f64 {
        self.positive_sum / self.losses.len() as f64
    }

    /// Mean score of the negatives that took part, if any did.
    #[must_use]
    pub fn negative_mean(&self) -> Option<f64> {
        (self.n_negatives > 0).then(|| self.negative_sum / self.n_negatives as f64)
    }
}

/// Computes InfoNCE terms.
pub trait InfoNce: Kernel {
    /// Computes `job`, with extra memory that does not grow with `batch * queue_len`.
    ///
    /// # Errors
    /// [`KernelError::DimMismatch`] and [`KernelError::Length`] when shapes disagree or the batch is empty,
    /// [`KernelError::Argument`] for an impossible temperature, an id below its least value or more than
    /// [`MAX_NEGATIVES`], [`KernelError::NotFinite`] and [`KernelError::Overflow`] for bad rows, and
    /// [`KernelError::ScoreRange`] when rows are so long that a logit has no fraction bits left.
    fn info_nce(&self, job: &InfoNceJob<'_>) -> Result<InfoNceOutput, KernelError>;
}

impl InfoNceJob<'_> {
    /// Checks shapes and settings; rows are not looked at.
    ///
    /// # Errors
    /// [`KernelError::DimMismatch`], [`KernelError::Length`] or [`KernelError::Argument`].
    pub fn check(&self) -> Result<(), KernelError> {
        let size = |rows: Rows<'_>| [rows.n_rows(), rows.dim()];
        check_term(
            [size(self.query), size(self.positive), size(self.queue)],
            self.ids,
            self.temperature,
        )
    }
}

/// Checks the numbers of rows and the row lengths of queries, positives and queue, and the settings.
pub(crate) fn check_term(
    [[batch, dim], [n_positives, positive_dim], [queue_len, queue_dim]]: [[usize; 2]; 3],
    ids: Option<ContrastIds<'_>>,
    temperature: f64,
) -> Result<(), KernelError> {
    for gallery in [positive_dim, queue_dim] {
        if gallery != dim {
            return Err(KernelError::DimMismatch { query: dim, gallery });
        }
    }
    check_len("positives", batch, n_positives)?;
    if let Some(ids) = ids {
        check_len("ids of the batch", batch, ids.batch.len())?;
        check_len("ids of the queue", queue_len, ids.queue.len())?;
        for (name, ids, least) in [
            ("id of the batch", ids.batch, 0),
            ("id of the queue", ids.queue, -1),
        ] {
            if let Some(id) = ids.iter().find(|id| **id < least) {
                return Err(KernelError::Argument {
                    name,
                    problem: format!("is {id}, must be at least {least}"),
                });
            }
        }
    }
    let argument = |name, problem| Err(KernelError::Argument { name, problem });
    if batch == 0 {
        return argument("batch", "is empty".to_owned());
    }
    if queue_len + batch > MAX_NEGATIVES {
        return argument(
            "queue",
            format!("has {queue_len} rows, more than {MAX_NEGATIVES} with the batch"),
        );
    }
    if !(temperature > 0.0 && temperature.is_finite()) {
        return argument("temperature", format!("is {temperature}, must be above 0"));
    }
    Ok(())
}
