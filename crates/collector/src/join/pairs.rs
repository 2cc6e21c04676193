//! Two rows that tell of the same things in the same order, and each lacks some: which belong together.

use std::cmp::Reverse;

/// Pairs rows with columns, in order: as many as may be, and of all ways to do so the one that costs least. `cost` says what
/// a pair costs, and `None` if it is none. The column of each row comes out; of columns that are alike, the first.
pub(super) fn pair(rows: usize, columns: usize, cost: impl Fn(usize, usize) -> Option<u64>) -> Vec<Option<usize>> {
    // The best that can be made of the rows from one on, and the columns from one on: pairs, and what they cost.
    let mut best = vec![vec![(0usize, Reverse(0u64)); columns + 1]; rows + 1];
    let with = |(pairs, Reverse(sum)): (usize, Reverse<u64>), cost: u64| (pairs + 1, Reverse(sum.saturating_add(cost)));
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            let without = best[row + 1][column].max(best[row][column + 1]);
            let paired = cost(row, column).map(|cost| with(best[row + 1][column + 1], cost));
            best[row][column] = paired.map_or(without, |paired| paired.max(without));
        }
    }
    let mut column = 0;
    let mut paired = vec![None; rows];
    for row in 0..rows {
        let is_best = |&other: &usize| {
            cost(row, other).is_some_and(|cost| with(best[row + 1][other + 1], cost) == best[row][column])
        };
        paired[row] = (column..columns).find(is_best);
        column = paired[row].map_or(column, |paired| paired + 1);
    }
    paired
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All ways there are, one by one.
    fn tried(costs: &[Vec<Option<u64>>], row: usize, from: usize) -> (usize, Reverse<u64>) {
        let Some(these) = costs.get(row) else { return (0, Reverse(0)) };
        let without = tried(costs, row + 1, from);
        let with = (from..these.len()).filter_map(|column| {
            let (pairs, Reverse(sum)) = tried(costs, row + 1, column + 1);
            Some((pairs + 1, Reverse(sum + these[column]?)))
        });
        with.fold(without, Ord::max)
    }

    #[test]
    fn the_one_that_is_missing_is_missed_where_it_costs_least() {
        let near = |rows: &[u64], columns: &[u64]| {
            pair(rows.len(), columns.len(), |row, column| Some(rows[row].abs_diff(columns[column])))
        };
        assert_eq!(near(&[100, 200, 300], &[101, 299]), [Some(0), None, Some(1)]);
        assert_eq!(near(&[205], &[100, 200, 300]), [Some(1)]);
        assert_eq!(near(&[205, 206], &[100, 200, 300]), [Some(1), Some(2)]);
        assert_eq!(near(&[5], &[]), [None]);
        assert_eq!(pair(2, 2, |row, column| (row != column).then_some(1)), [Some(1), None]);
        assert_eq!(pair(1, 3, |_, _| Some(7)), [Some(0)], "the first of those that are alike");
    }

    proptest! {
        #[test]
        fn no_other_way_is_better(
            costs in (0usize..5).prop_flat_map(|columns| {
                prop::collection::vec(prop::collection::vec(prop::option::weighted(0.7, 0u64..5), columns), 0..5)
            }),
        ) {
            let columns = costs.first().map_or(0, Vec::len);
            let paired = pair(costs.len(), columns, |row, column| costs[row][column]);
            let chosen: Vec<_> = paired.iter().flatten().collect();
            prop_assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]), "in order");
            let sum = paired.iter().zip(&costs).filter_map(|(column, costs)| costs[(*column)?]).sum();
            prop_assert_eq!((chosen.len(), Reverse(sum)), tried(&costs, 0, 0));
        }
    }
}
