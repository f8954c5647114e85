//! Cells that are more than a number: how the values of a metric are distributed in a row, for metrics of which the configuration asks for it.
//!
//! A [`Shape`] is what the configuration says, a [`Distribution`] what a row has counted under it. Whoever observes finds the place of a
//! value once, by a [`Finder`], as a [`Mark`]; a row may hold coarser buckets than that, which follow from finer ones.

mod native;
mod window;

use std::sync::{Mutex, PoisonError};

pub use native::{Native, NativeShape, SCHEMAS};
pub use window::{Window, WindowShape};

use native::Table;

/// What a distribution is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A native histogram.
    Native(NativeShape),
    /// A summary of what was counted last.
    Window(WindowShape),
}

/// What a row has counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// As a native histogram.
    Native(Native),
    /// As a summary of what was counted last.
    Window(Window),
}

/// Finds marks for distributions of one shape.
#[derive(Clone, Debug)]
pub enum Finder {
    /// The bucket of each value.
    Native(Table),
    /// The value itself.
    Window,
}

/// Where a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Into the bucket of values near zero.
    Zero,
    /// Into a bucket of the shape's own schema: of values above zero.
    Positive(i32),
    /// The same of values below zero.
    Negative(i32),
    /// A value, as cells hold it.
    Value(u64),
}

impl Shape {
    /// `shapes`, for ever: a layout is copied everywhere. There are as many as configurations have asked for, each is kept once.
    pub fn interned(shapes: Vec<Self>) -> &'static [Self] {
        static KNOWN: Mutex<Vec<&'static [Shape]>> = Mutex::new(Vec::new());
        if shapes.is_empty() {
            return &[];
        }
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().copied().find(|known| **known == shapes);
        found.unwrap_or_else(|| {
            let kept: &'static [Self] = shapes.leak();
            known.push(kept);
            kept
        })
    }

    /// What finds the marks.
    pub fn finder(&self) -> Finder {
        match self {
            Self::Native(shape) => Finder::Native(Table::new(shape)),
            Self::Window(_) => Finder::Window,
        }
    }

    /// A distribution that has counted nothing.
    pub fn empty(&self) -> Distribution {
        match self {
            Self::Native(shape) => Distribution::Native(Native::new(shape)),
            Self::Window(_) => Distribution::Window(Window::default()),
        }
    }

    /// The sum of two that [`Distribution::write`] wrote, in the same way; `None` when one of them is none.
    pub fn sum(&self, one: &str, other: &str) -> Option<String> {
        let (mut sum, mut text) = (self.read(one)?, String::new());
        sum.merge(&self.read(other)?, self);
        sum.write(&mut text, self);
        Some(text)
    }

    /// What [`Distribution::write`] wrote, as far as it goes with this shape: what is too fine is made coarser.
    pub fn read(&self, text: &str) -> Option<Distribution> {
        match self {
            Self::Native(shape) => Native::read(text, shape).map(Distribution::Native),
            Self::Window(shape) => Window::read(text, shape).map(Distribution::Window),
        }
    }
}

impl Finder {
    /// Where `value` goes, which is as cells hold it.
    #[inline]
    pub fn mark(&self, value: i64) -> Mark {
        match self {
            Self::Native(table) => table.mark(value),
            Self::Window => Mark::Value(u64::try_from(value).unwrap_or(0)),
        }
    }
}

impl Distribution {
    /// Counts `times` values at `mark`, at `now`, in seconds since 1970, or 0 where time does not matter.
    pub fn count(&mut self, mark: Mark, times: u64, now: u64, shape: &Shape) {
        match (self, mark, shape) {
            (Self::Window(window), Mark::Value(value), Shape::Window(shape)) => window.count(value, times, now, shape),
            (Self::Native(native), mark, Shape::Native(shape)) => native.count(mark, times, shape),
            _ => {}
        }
    }

    /// Adds what `other` has counted under the same shape.
    pub fn merge(&mut self, other: &Self, shape: &Shape) {
        match (self, other, shape) {
            (Self::Native(native), Self::Native(other), Shape::Native(shape)) => native.merge(other, shape),
            (Self::Window(window), Self::Window(other), Shape::Window(shape)) => window.merge(other, shape),
            _ => {}
        }
    }

    /// Appends it, which is of `shape`, as text without spaces, for people, too.
    pub fn write(&self, out: &mut String, shape: &Shape) {
        match (self, shape) {
            (Self::Native(native), _) => native.write(out),
            (Self::Window(window), Shape::Window(shape)) => window.write(out, shape),
            (Self::Window(_), Shape::Native(_)) => {}
        }
    }
}
