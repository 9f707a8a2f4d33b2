//! One dial by whatever works: what is dialled when, and what it comes to. Knows no socket.

use std::time::Duration;

use world::{Closed, ConnId, Time};

use crate::carrier::Carrier;

/// One carrier of a dial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rung {
    /// Not to be used.
    Absent,
    /// To be dialled at this time, or when the other fails.
    Waiting(Time),
    /// Being dialled, until this time.
    Dialling(ConnId, Time),
    /// It did not open.
    Failed(Closed),
}

/// What is to be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Dial, and tell [`Ladder::dialled`].
    Dial(Carrier),
    /// Its time is over: hang up, and tell [`Ladder::failed`].
    GiveUp(Carrier, ConnId),
}

/// Two carriers, of which the first to open is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ladder {
    /// What opens is to be encrypted.
    pub(crate) encrypted: bool,
    tcp: Rung,
    utp: Rung,
}

impl Ladder {
    /// Each carrier with the time it is to wait, `None` if it is not to be used.
    pub(crate) fn new(now: Time, encrypted: bool, tcp: Option<Duration>, utp: Option<Duration>) -> Self {
        let rung = |wait: Option<Duration>| wait.map_or(Rung::Absent, |wait| Rung::Waiting(now + wait));
        Self {
            encrypted,
            tcp: rung(tcp),
            utp: rung(utp),
        }
    }

    /// One carrier alone, at once.
    pub(crate) fn only(now: Time, encrypted: bool, carrier: Carrier) -> Self {
        let at_once = |of: Carrier| (of == carrier).then_some(Duration::ZERO);
        Self::new(now, encrypted, at_once(Carrier::Tcp), at_once(Carrier::Utp))
    }

    /// What is to be done at `now`; ask until nothing is.
    pub(crate) fn due(&self, now: Time) -> Option<Step> {
        [Carrier::Tcp, Carrier::Utp]
            .into_iter()
            .find_map(|carrier| match self.rung(carrier) {
                Rung::Waiting(at) if at <= now => Some(Step::Dial(carrier)),
                Rung::Dialling(leg, until) if until <= now => Some(Step::GiveUp(carrier, leg)),
                _ => None,
            })
    }

    /// The dial went out, and is waited for until this time.
    pub(crate) fn dialled(&mut self, carrier: Carrier, leg: ConnId, until: Time) {
        *self.rung_mut(carrier) = Rung::Dialling(leg, until);
    }

    /// The dial will not open: the other is not waited with.
    pub(crate) fn failed(&mut self, now: Time, carrier: Carrier, why: Closed) {
        *self.rung_mut(carrier) = Rung::Failed(why);
        for rung in [&mut self.tcp, &mut self.utp] {
            if let Rung::Waiting(at) = rung {
                *at = now.min(*at);
            }
        }
    }

    /// When something is to be done.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let times = [self.tcp, self.utp].into_iter().filter_map(|rung| match rung {
            Rung::Waiting(at) | Rung::Dialling(_, at) => Some(at),
            Rung::Absent | Rung::Failed(_) => None,
        });
        times.min()
    }

    /// How it ended, when nothing is left to wait for. TCP's word counts for more: a uTP peer is silent where it does
    /// not want us, and so is everybody who has no uTP.
    pub(crate) fn outcome(&self) -> Option<Closed> {
        match (self.tcp, self.utp) {
            (Rung::Failed(why), Rung::Absent | Rung::Failed(_)) | (Rung::Absent, Rung::Failed(why)) => Some(why),
            (Rung::Absent, Rung::Absent) => Some(Closed::Unreachable),
            _ => None,
        }
    }

    /// What is being dialled.
    pub(crate) fn legs(&self) -> impl Iterator<Item = (Carrier, ConnId)> + use<> {
        let leg = |rung| match rung {
            Rung::Dialling(leg, _) => Some(leg),
            Rung::Absent | Rung::Waiting(_) | Rung::Failed(_) => None,
        };
        let tcp = leg(self.tcp).map(|leg| (Carrier::Tcp, leg));
        let utp = leg(self.utp).map(|leg| (Carrier::Utp, leg));
        tcp.into_iter().chain(utp)
    }

    fn rung(&self, carrier: Carrier) -> Rung {
        match carrier {
            Carrier::Tcp => self.tcp,
            Carrier::Utp => self.utp,
        }
    }

    fn rung_mut(&mut self, carrier: Carrier) -> &mut Rung {
        match carrier {
            Carrier::Tcp => &mut self.tcp,
            Carrier::Utp => &mut self.utp,
        }
    }
}
