//! Buckets against their definition in whole numbers, and histograms against counts that are easy to see through.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn shape(schema: i8, max_buckets: usize, scale: f64) -> NativeShape {
    NativeShape { schema, max_buckets, zero_threshold: 2f64.powi(-128), scale }
}

/// A whole number of any size, lowest word first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Whole(Vec<u64>);

impl Whole {
    fn power(base: u64, exponent: u32) -> Self {
        let mut words = vec![1];
        for _ in 0..exponent {
            let mut carry = 0u128;
            for word in &mut words {
                carry += u128::from(*word) * u128::from(base);
                *word = carry as u64;
                carry >>= 64;
            }
            if carry > 0 {
                words.push(carry as u64);
            }
        }
        Self(words)
    }

    fn doubled(&self, times: u32) -> Self {
        let (words, bits) = (times / 64, times % 64);
        let mut doubled = vec![0; words as usize];
        let mut carry = 0u64;
        for word in &self.0 {
            doubled.push(word << bits | carry);
            carry = if bits == 0 { 0 } else { word >> (64 - bits) };
        }
        doubled.push(carry);
        while doubled.last() == Some(&0) {
            doubled.pop();
        }
        Self(doubled)
    }

    fn is_at_most(&self, other: &Self) -> bool {
        let key = |number: &Self| (number.0.len(), number.0.iter().rev().copied().collect::<Vec<_>>());
        key(self) <= key(other)
    }
}

/// True when `value` / `scale` is at most 2^(number / 2^schema): both to the power of 2^schema are whole numbers.
fn is_up_to(value: u64, scale: u64, number: i32, schema: i8) -> bool {
    let (power, doublings) = match u32::try_from(schema) {
        Ok(schema) => (1 << schema, number),
        Err(_) => (1, number << -schema),
    };
    let (value, bound) = (Whole::power(value, power), Whole::power(scale, power));
    match u32::try_from(doublings) {
        Ok(doublings) => value.is_at_most(&bound.doubled(doublings)),
        Err(_) => value.doubled(doublings.unsigned_abs()).is_at_most(&bound.doubled(0)),
    }
}

#[track_caller]
fn assert_bucket(value: u64, scale: u64, schema: i8) {
    let table = Table::new(&shape(schema, 160, scale as f64));
    let Mark::Positive(number) = table.mark(value as i64) else { panic!("{value} is near zero") };
    assert!(is_up_to(value, scale, number, schema), "{value} / {scale} is beyond bucket {number} of {schema}");
    assert!(!is_up_to(value, scale, number - 1, schema), "{value} / {scale} is below bucket {number} of {schema}");
    assert_eq!(table.mark(-(value as i64)), Mark::Negative(number));
}

#[test]
fn buckets_are_those_of_their_definition() {
    for schema in SCHEMAS {
        for scale in [1, 1000] {
            for value in (1..40).chain([999, 1000, 1001, 16_383, 16_384, 16_385, 65_536, 86_400_000, 1 << 31]) {
                assert_bucket(value, scale, schema);
            }
            for exponent in 0..40 {
                assert_bucket(1 << exponent, scale, schema);
                assert_bucket(scale << exponent.min(30), scale, schema);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_value_has_the_bucket_of_the_definition(value in 1u64..1 << 42, schema in SCHEMAS, is_ms: bool) {
        assert_bucket(value, if is_ms { 1000 } else { 1 }, schema);
    }

    /// However values come, to however many shards, the histogram is the finest that has room for them.
    #[test]
    fn a_histogram_is_the_finest_that_has_room(
        values in prop::collection::vec((0i64..5_000_000, -3i8..4, 1u64..4), 0..300),
        schema in SCHEMAS,
        max_buckets in 16usize..200,
        shards in 1usize..4,
    ) {
        // From tiny to huge, on both sides of zero.
        let values: Vec<(i64, u64)> =
            values.into_iter().map(|(value, size, times)| (if size < 0 { -(value >> (4 * -size)) } else { value >> (4 * size) }, times)).collect();
        let shape = shape(schema, max_buckets, 1000.0);
        let table = Table::new(&shape);
        let mut parts = vec![Native::new(&shape); shards];
        for (index, (value, times)) in values.iter().enumerate() {
            parts[index % shards].count(table.mark(*value), *times, &shape);
            prop_assert!(parts[index % shards].positive.len() + parts[index % shards].negative.len() <= max_buckets);
        }
        let mut total = Native::new(&shape);
        parts.iter().for_each(|part| total.merge(part, &shape));

        prop_assert_eq!(total.total(), values.iter().map(|(_, times)| times).sum::<u64>());
        let expected = (*SCHEMAS.start()..=schema).rev().find_map(|schema| {
            let table = Table::new(&NativeShape { schema, ..shape.clone() });
            let mut buckets: BTreeMap<(bool, i32), u64> = BTreeMap::new();
            let mut zero = 0;
            for (value, times) in &values {
                match table.mark(*value) {
                    Mark::Positive(number) => *buckets.entry((true, number)).or_default() += times,
                    Mark::Negative(number) => *buckets.entry((false, number)).or_default() += times,
                    _ => zero += times,
                }
            }
            let of = |sign: bool| buckets.iter().filter(|((other, _), _)| *other == sign).map(|((_, number), count)| (*number, *count)).collect();
            let fits = buckets.len() <= max_buckets;
            fits.then(|| Native { schema, zero, positive: of(true), negative: of(false) })
        });
        prop_assert_eq!(Some(&total), expected.as_ref());

        let mut text = String::new();
        total.write(&mut text);
        prop_assert_eq!(Native::read(&text, &shape), Some(total.clone()), "{}", text);
        // Under a coarser shape it is what it would have been there from the beginning.
        let coarser = NativeShape { schema: (schema - 2).max(-4), max_buckets: 16, ..shape.clone() };
        let table = Table::new(&coarser);
        let mut again = Native::new(&coarser);
        values.iter().for_each(|(value, times)| again.count(table.mark(*value), *times, &coarser));
        prop_assert_eq!(Native::read(&text, &coarser), Some(again));
    }

    #[test]
    fn what_is_no_histogram_is_not_read(text in "[0-9:=,-]{0,30}") {
        if let Some(native) = Native::read(&text, &shape(8, 2048, 1.0)) {
            let numbers = native.positive.iter().map(|(number, _)| number).collect::<BTreeSet<_>>();
            prop_assert_eq!(numbers.len(), native.positive.len());
        }
    }
}

#[test]
fn what_is_near_zero_is_of_no_bucket() {
    let shape = NativeShape { zero_threshold: 0.002, ..shape(3, 160, 1000.0) };
    let table = Table::new(&shape);
    assert_eq!([0, 1, 2, -1, -2].map(|value| table.mark(value)), [Mark::Zero; 5]);
    assert!(matches!(table.mark(3), Mark::Positive(_)) && matches!(table.mark(-3), Mark::Negative(_)));
}
