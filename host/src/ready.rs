//! Which connections have something to do.
//!
//! One task runs the whole loop, and a task has one waker: without more, a wake-up would say "somebody is ready" and
//! every connection would have to be asked. So each slot of the connection table has a waker of its own, made once and
//! kept for all connections that live in the slot, which notes the slot here and then wakes the task.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

/// Slots that are ready, oldest first, each at most once: never longer than the connection table.
#[derive(Default)]
pub(crate) struct ReadyList(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    slots: VecDeque<usize>,
    task: Option<Waker>,
}

impl ReadyList {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task to wake from now on.
    pub(crate) fn watch(&self, cx: &Context<'_>) {
        let mut queue = self.queue();
        if !queue.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            queue.task = Some(cx.waker().clone());
        }
    }

    pub(crate) fn pop(&self) -> Option<usize> {
        self.queue().slots.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue().slots.is_empty()
    }
}

/// The waker of one slot.
pub(crate) struct SlotWaker {
    slot: usize,
    queued: AtomicBool,
    list: Arc<ReadyList>,
}

impl SlotWaker {
    pub(crate) fn new(slot: usize, list: &Arc<ReadyList>) -> Arc<Self> {
        Arc::new(Self {
            slot,
            queued: AtomicBool::new(false),
            list: Arc::clone(list),
        })
    }

    /// To be called when the slot was popped, before it is looked at: what happens meanwhile queues it again.
    pub(crate) fn popped(&self) {
        self.queued.store(false, Ordering::Release);
    }
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut queue = self.list.queue();
        queue.slots.push_back(self.slot);
        if let Some(task) = &queue.task {
            task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_queued_once_until_it_is_looked_at() {
        let list = Arc::new(ReadyList::default());
        let wakers = [SlotWaker::new(0, &list), SlotWaker::new(1, &list)];
        wakers[1].wake_by_ref();
        wakers[0].wake_by_ref();
        wakers[1].wake_by_ref();
        assert_eq!([list.pop(), list.pop(), list.pop()], [Some(1), Some(0), None]);
        wakers[1].wake_by_ref();
        assert!(list.is_empty(), "not before it was looked at");
        wakers[1].popped();
        wakers[1].wake_by_ref();
        assert_eq!(list.pop(), Some(1));
    }
}
