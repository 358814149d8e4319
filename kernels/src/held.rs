//! Rows that a kernel keeps where it computes.

use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::matrix::RowsData;
use crate::{Dtype, Rows};

/// Rows that a kernel keeps: it forgets them when this is dropped.
#[must_use = "the kernel forgets the rows when this is dropped"]
#[derive(Default)]
pub struct HeldRows<'a> {
    forget: Option<Box<dyn FnOnce() + Send>>,
    rows: PhantomData<&'a [u8]>,
}

impl Debug for HeldRows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldRows").finish_non_exhaustive()
    }
}

impl Drop for HeldRows<'_> {
    fn drop(&mut self) {
        if let Some(forget) = self.forget.take() {
            forget();
        }
    }
}

/// Which rows of the host: nothing else can lie there while they are borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    address: usize,
    n_rows: usize,
    dim: usize,
    dtype: Dtype,
}

impl Place {
    fn of(rows: Rows<'_>) -> Self {
        let (address, dtype) = match rows.data() {
            RowsData::F16(data) => (data.as_ptr() as usize, Dtype::F16),
            RowsData::F32(data) => (data.as_ptr() as usize, Dtype::F32),
            RowsData::F64(data) => (data.as_ptr() as usize, Dtype::F64),
        };
        Self {
            address,
            n_rows: rows.n_rows(),
            dim: rows.dim(),
            dtype,
        }
    }
}

/// What a kernel keeps of rows of the host, by where they lie there. Clones share it.
#[derive(Debug)]
pub(crate) struct Shelf<T>(Arc<Mutex<Kept<T>>>);

#[derive(Debug)]
struct Kept<T> {
    /// Number of the next entry.
    next: u64,
    entries: Vec<(u64, Place, T)>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        let kept = Kept {
            next: 0,
            entries: Vec::new(),
        };
        Self(Arc::new(Mutex::new(kept)))
    }
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + 'static> Shelf<T> {
    fn kept(&self) -> MutexGuard<'_, Kept<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps `kept` in place of the rows for as long as they are held.
    pub(crate) fn put<'a>(&self, rows: Rows<'a>, kept: T) -> HeldRows<'a> {
        let mut all = self.kept();
        let number = all.next;
        all.next += 1;
        all.entries.push((number, Place::of(rows), kept));
        let shelf = self.clone();
        let forget = move || {
            let mut kept = shelf.kept();
            let at = kept.entries.iter().position(|entry| entry.0 == number);
            // What was kept may take long to free: not under the lock.
            let entry = at.map(|at| kept.entries.swap_remove(at));
            drop(kept);
            drop(entry);
        };
        HeldRows {
            forget: Some(Box::new(forget)),
            rows: PhantomData,
        }
    }

    /// Gives what is kept in place of the rows to `take`.
    pub(crate) fn find<R>(&self, rows: Rows<'_>, take: impl FnOnce(&T) -> R) -> Option<R> {
        let place = Place::of(rows);
        let kept = self.kept();
        let found = kept.entries.iter().find(|entry| entry.1 == place);
        found.map(|(_, _, kept)| take(kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_their_place_while_they_are_held() {
        let shelf: Shelf<&'static str> = Shelf::default();
        let data = [0.0_f32; 12];
        let rows = Rows::new(RowsData::F32(&data), 4, 3).unwrap();
        let other = [0.0_f32; 12];
        let other = Rows::new(RowsData::F32(&other), 4, 3).unwrap();
        let found = |rows| shelf.find(rows, |kept| *kept);
        assert_eq!(found(rows), None);
        let held = shelf.put(rows, "first");
        let again = shelf.put(rows, "again");
        assert_eq!((found(rows), found(other)), (Some("first"), None));
        assert_eq!(found(rows.slice(0..2)), None, "a part is not the whole");
        drop(held);
        assert_eq!(found(rows), Some("again"));
        drop(again);
        assert_eq!(found(rows), None);
    }
}
