//! Entries by cookie, found quickly by whoever comes in the order of the time before.
//!
//! The kernel dumps its table in one order, and that changes only where sockets come and go. So each entry remembers
//! which one was found after it: nearly always that is the one wanted next, and no table needs to be searched. Entries
//! that were made one after the other also lie so in memory, where the processor fetches them ahead.

use rustc_hash::FxHashMap;

/// Entries by cookie. Cookie 0 is nobody's, and is never found.
#[derive(Debug, Default)]
pub(crate) struct Slots<T> {
    index: FxHashMap<u64, u32>,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    /// The slot that was found or filled last.
    last: u32,
}

#[derive(Debug)]
struct Slot<T> {
    /// 0 if the slot is free.
    cookie: u64,
    /// The slot that was found after this one.
    next: u32,
    value: T,
}

impl<T: Default> Slots<T> {
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn contains(&self, cookie: u64) -> bool {
        self.index.contains_key(&cookie)
    }

    #[inline]
    pub(crate) fn find(&mut self, cookie: u64) -> Option<&mut T> {
        if cookie == 0 {
            return None;
        }
        let expected = self.slots.get(self.last as usize).map_or(0, |slot| slot.next);
        let is_next = self.slots.get(expected as usize).is_some_and(|slot| slot.cookie == cookie);
        let found = if is_next { expected } else { *self.index.get(&cookie)? };
        if let Some(last) = self.slots.get_mut(self.last as usize) {
            last.next = found;
        }
        self.last = found;
        self.slots.get_mut(found as usize).map(|slot| &mut slot.value)
    }

    /// Adds an entry that is not there, as the one found after the last.
    pub(crate) fn insert(&mut self, cookie: u64, value: T) {
        if cookie == 0 {
            return;
        }
        let (last, count) = (self.last, self.slots.len() as u32);
        let at = self.free.pop().unwrap_or(count);
        let next = self.slots.get_mut(last as usize).map_or(at, |slot| std::mem::replace(&mut slot.next, at));
        let slot = Slot { cookie, next, value };
        match self.slots.get_mut(at as usize) {
            Some(free) => *free = slot,
            None => self.slots.push(slot),
        }
        self.index.insert(cookie, at);
        self.last = at;
    }

    pub(crate) fn remove(&mut self, cookie: u64) -> Option<T> {
        let at = self.index.remove(&cookie)?;
        let slot = self.slots.get_mut(at as usize)?;
        slot.cookie = 0;
        self.free.push(at);
        Some(std::mem::take(&mut slot.value))
    }

    /// Removes the entries for which `keep` says no.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(u64, &mut T) -> bool) {
        for (at, slot) in self.slots.iter_mut().enumerate() {
            if slot.cookie != 0 && !keep(slot.cookie, &mut slot.value) {
                self.index.remove(&slot.cookie);
                slot.cookie = 0;
                slot.value = T::default();
                self.free.push(at as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        /// Finds these, one after the other; those that are not there are inserted.
        Walk(Vec<u64>),
        Remove(u64),
        KeepOdd,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => prop::collection::vec(0..12u64, 0..12).prop_map(Step::Walk),
            3 => (0..12u64).prop_map(Step::Remove),
            1 => Just(Step::KeepOdd),
        ];
        prop::collection::vec(step, 0..40)
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_was_put_there(steps in steps()) {
            let mut slots = Slots::default();
            let mut expected = BTreeMap::new();
            let mut serial = 0;
            for step in steps {
                match step {
                    Step::Walk(cookies) => {
                        for cookie in cookies {
                            prop_assert_eq!(slots.find(cookie).copied(), expected.get(&cookie).copied());
                            if cookie != 0 && !expected.contains_key(&cookie) {
                                serial += 1;
                                slots.insert(cookie, serial);
                                expected.insert(cookie, serial);
                            }
                        }
                    }
                    Step::Remove(cookie) => prop_assert_eq!(slots.remove(cookie), expected.remove(&cookie)),
                    Step::KeepOdd => {
                        slots.retain(|cookie, _| cookie % 2 == 1);
                        expected.retain(|cookie, _| cookie % 2 == 1);
                    }
                }
                prop_assert_eq!(slots.len(), expected.len());
                prop_assert!((0..12).all(|cookie| slots.contains(cookie) == expected.contains_key(&cookie)));
                prop_assert!(slots.slots.len() <= 12, "slots are used again");
            }
        }
    }
}
