//! The lock's text.

use netplan::{Family, Lock};
use proptest::prelude::*;

use crate::{net, planned, requirement};

#[test]
fn text_and_back_is_exact() {
    let lock = planned(&requirement(3, 2, 4)).lock();
    let text = lock.to_text();
    let read = Lock::from_text(&text).expect("its own text");
    assert_eq!(read, lock);
    assert_eq!(read.to_text(), text);
    assert_eq!(read.get("network/nothing", Family::V4), None);
    assert_eq!(
        read.get("network/link", Family::V4)
            .map(|net| net.prefix_len()),
        Some(30)
    );
    assert!(
        read.iter()
            .any(|(id, net)| id == "address/kube/worker-3" && net.family() == Family::V6)
    );
}

#[test]
fn every_damage_is_named_with_its_line() {
    let text = planned(&requirement(1, 1, 0)).lock().to_text();
    let error = |text: &str| Lock::from_text(text).expect_err("damaged").to_string();
    let lines: Vec<&str> = text.lines().collect();
    let without = |at: usize| {
        let kept = lines.iter().enumerate().filter(|(n, _)| *n != at);
        kept.map(|(_, line)| format!("{line}\n"))
            .collect::<String>()
    };
    assert!(error("").starts_with("line 1 of the network lock is \"\" instead of"));
    assert!(error(&text.replacen("version 1", "version 2", 1)).starts_with("line 1 "));
    assert!(error(&without(1)).contains("line 2 of the network lock is \"seed"));
    assert!(error(&without(2)).contains("line 3 of"));
    assert!(error(&without(4)).contains("says checksum"));
    assert!(error(&without(lines.len() - 1)).contains("expected `checksum`"));
    assert!(error(text.trim_end()).contains("expected `checksum`"));
    assert!(error(&format!("{text}more\n")).contains("follows the checksum"));
    let mut swapped = lines.clone();
    swapped.swap(3, 4);
    assert!(
        error(&format!("{}\n", swapped.join("\n")))
            .contains("line 5 of the network lock does not sort")
    );
    let mut doubled = lines.clone();
    doubled.insert(4, lines[3]);
    assert!(error(&format!("{}\n", doubled.join("\n"))).contains("line 5 of"));
    let host_bits = text.replacen("/24", "/16", 1);
    assert!(
        error(&host_bits).contains("expected a name and a network")
            || error(&host_bits).contains("checksum")
    );
}

#[test]
fn the_lock_names_each_allocation() {
    let plan = planned(&requirement(3, 1, 1));
    let lock = plan.lock();
    assert_eq!(lock.lab().as_str(), "lab");
    assert_eq!(lock.seed(), plan.seed);
    let supernet = lock.get("supernet", Family::V4).expect("locked");
    assert!(net("10.0.0.0/8").covers(supernet));
    assert!(
        lock.iter()
            .all(|(_, net)| plan.supernet.both().iter().any(|whole| whole.covers(net)))
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in "(netplan lock, version 1\n)?(lab [a-z-]{0,3}\n)?(seed [0-9a-f]{15,17}\n)?\\PC{0,30}\n?") {
        let _either = Lock::from_text(&text);
    }
}
