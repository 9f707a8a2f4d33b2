//! Signals end a run in two steps. Alone in its file: a signal is for the whole process.

mod support;

use host::{Setup, Stage, Why};
use rustix::process::{Signal, getpid, kill_process};
use support::{play, setup};
use world::Input;

#[test]
fn the_first_signal_is_told_and_the_second_ends_the_run() {
    let stage = Stage::open(&Setup {
        signals: true,
        ..setup()
    })
    .unwrap();
    let mut stops = 0;
    // A datagram to ourselves says that the loop, and with it the handlers, stand.
    let own = stage.udp_addrs()[0];
    let ended = play(
        stage,
        |acts| acts.send(own, b"up"),
        |_, _, input| {
            let told = matches!(input, Input::Stop);
            stops += u32::from(told);
            let signal = if told { Signal::TERM } else { Signal::INT };
            kill_process(getpid(), signal).unwrap();
        },
    );
    assert_eq!((stops, ended.why), (1, Why::Stopped));
}
