//! Two runs at once, and Ctrl-C.

use crate::{lab::Scene, turn::Room};
use nix::sys::signal::Signal;

#[test]
#[ignore = "needs root"]
fn one_run_at_a_time_and_ctrl_c_can_be_gone_on_from() {
    let scene = Scene::taking(Room::Usual);
    let lab = scene.lab("t-int");
    let mut first = lab.start_up(&["--etcd", "1"]);
    assert!(first.event(|event| event.is("boot", "started")).is_some());
    for words in [&["up", "--etcd", "1"][..], &["down"]] {
        let second = lab.run(words);
        assert_eq!(second.code, Some(1), "{second:?}");
        assert!(
            second.err.contains("another `lab` is at work on this lab"),
            "{}",
            second.err
        );
    }
    // To all of the group, as a terminal does.
    assert!(first.event(|event| event.is("API", "started")).is_some());
    first.signal_all(Signal::SIGINT);
    let done = first.end();
    assert_eq!(done.code, Some(130), "{done:?}");
    for said in [
        "interrupted",
        "lab --name t-int",
        "up` goes on from here",
        "down` removes",
    ] {
        assert!(done.err.contains(said), "lacks {said:?}: {}", done.err);
    }
    // SIGTERM is taken as well.
    let mut next = lab.start_up(&[]);
    assert!(next.event(|event| event.is("Ready", "started")).is_some());
    next.signal(Signal::SIGTERM);
    assert_eq!(next.end().code, Some(130));

    assert_eq!(lab.up(&[]).result["changed"], true);
    lab.check();
    lab.down();
    scene.nothing_is_left();
}
