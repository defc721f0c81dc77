//! What holds for every specification.

use bhyve_vm::{
    Arguments, Console, DeviceTree, Disk, Firmware, HostPath, Nic, Release, SectorSizes, Slot,
    Topology, VmSpec, argv, config_file, keys, parse_argv, parse_config_file,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn path(kind: &'static str) -> impl Strategy<Value = HostPath> {
    "[A-Za-z0-9_.+:@-]{1,20}(/[A-Za-z0-9_+:@-]{1,20}){0,2}"
        .prop_filter_map("has '..'", move |tail| {
            format!("/{kind}/{tail}").parse().ok()
        })
}

fn disk(i: usize) -> impl Strategy<Value = Disk> {
    (
        path("disk"),
        "[A-Za-z0-9_-]{0,16}",
        9_u32..14,
        0_u32..4,
        any::<bool>(),
    )
        .prop_map(move |(path, serial, logical, more, read_only)| Disk {
            path: format!("{path}{i:02}").parse().unwrap(),
            serial: format!("{serial}{i:02}").parse().unwrap(),
            sectors: format!("{}/{}", 1_u32 << logical, 1_u32 << (logical + more))
                .parse::<SectorSizes>()
                .unwrap(),
            read_only,
            slot: None,
        })
}

fn nic(i: usize) -> impl Strategy<Value = Nic> {
    (any::<[u8; 4]>(), 0_u32..900).prop_map(move |(mac, tap)| Nic {
        mac: format!(
            "02:{:02x}:{:02x}:{:02x}:{:02x}:{i:02x}",
            mac[0], mac[1], mac[2], mac[3]
        )
        .parse()
        .unwrap(),
        tap: format!("tap{}", tap * 12 + u32::try_from(i).unwrap())
            .parse()
            .unwrap(),
        bridge: "bridge0".parse().unwrap(),
        slot: None,
    })
}

/// Vectors of up to 12 whose element at each index comes from `item(index)`.
fn up_to_12<T: std::fmt::Debug, S: Strategy<Value = T>>(
    item: impl Fn(usize) -> S,
) -> impl Strategy<Value = Vec<T>> {
    let all: Vec<S> = (0..12).map(item).collect();
    (all, 0_usize..=12).prop_map(|(mut items, n)| {
        items.truncate(n);
        items
    })
}

/// Slots that were stored: distinct, of all that is free for devices, for as many as there are numbers.
fn store_slots(spec: &mut VmSpec, numbers: &[u8]) {
    let wishes = spec
        .disks
        .iter_mut()
        .map(|d| &mut d.slot)
        .chain(spec.nics.iter_mut().map(|n| &mut n.slot));
    for (wish, number) in wishes.zip(numbers) {
        *wish = Some(Slot::try_from(*number).unwrap());
    }
}

/// Further keys that both releases have and that a specification does not say itself.
const EXTRA: [(&str, &str); 6] = [
    ("pci.1.0.0.device", "virtio-rnd"),
    ("pci.0.0.0.pcireg.vendor", "0x1022"),
    ("lpc.fwcfg", "qemu"),
    ("system.manufacturer", "The lab, cellar"),
    ("vcpu.0.cpuset", "0-3,8"),
    ("keyboard.layout", "de"),
];

fn consoles(quiet: bool, tcp: &[u16]) -> Vec<Console> {
    let first = (!quiet).then_some(Console::Nmdm);
    let others = tcp
        .iter()
        .map(|port| format!("tcp=127.0.0.1:{port}").parse().unwrap());
    first.into_iter().chain(others).collect()
}

/// Options as people and tools write them, with their values; none sets what another sets.
const WRITTEN: [(&str, Option<&str>); 12] = [
    ("A", None),
    ("H", None),
    ("P", None),
    ("I", None),
    ("w", None),
    ("m", Some("2g")),
    ("c", Some("4,cores=2,sockets=2")),
    ("s", Some("0:0:0,amd_hostbridge")),
    ("s", Some("3,ahci,hd:/a,ser=a,cd:/b,ro")),
    ("s", Some("31,lpc")),
    ("l", Some("bootrom,/code,/vars,fwcfg=qemu")),
    ("o", Some("system.sku=a b,c")),
];

/// Puts options into words: flags in one word or several, values in the same word or the next.
fn written(options: &[(&str, Option<&str>)], join: &[bool], attach: &[bool]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for (i, (letter, value)) in options.iter().enumerate() {
        match words.last_mut() {
            Some(word) if open && join[i] => word.push_str(letter),
            _ => words.push(format!("-{letter}")),
        }
        open = value.is_none();
        match (value, words.last_mut()) {
            (Some(value), Some(word)) if attach[i] => word.push_str(value),
            (Some(value), _) => words.push((*value).to_owned()),
            (None, _) => {}
        }
    }
    words
}

prop_compose! {
    fn any_spec()(
        name in "[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?",
        uuid in "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}",
        cpus in (1_u8..5, 1_u8..6, 1_u8..3),
        memory_mib in 1_u32..=VmSpec::MAX_MEMORY_MIB,
        code in path("code"),
        vars_template in path("template"),
        vars in path("vars"),
        disks in up_to_12(disk),
        nics in up_to_12(nic),
        seed in proptest::option::of(path("seed")),
        quiet in any::<bool>(),
        stored in Just(vec![28_u8, 29, 30]).prop_shuffle(),
        kept in 0_usize..=3,
        tcp in proptest::sample::subsequence(vec![4001_u16, 4002, 4003], 0..=3),
        extra in proptest::sample::subsequence(EXTRA.to_vec(), 0..=EXTRA.len()),
        start_order in any::<u16>(),
    ) -> VmSpec {
        let mut spec = VmSpec {
            name: name.parse().unwrap(),
            uuid: uuid.parse().unwrap(),
            cpus: Topology {
                sockets: cpus.0.try_into().unwrap(),
                cores: cpus.1.try_into().unwrap(),
                threads: cpus.2.try_into().unwrap(),
            },
            memory_mib: memory_mib.try_into().unwrap(),
            firmware: Firmware { code, vars_template, vars },
            disks,
            nics,
            seed,
            consoles: consoles(quiet, &tcp),
            random: !quiet,
            restart: Default::default(),
            stop: Default::default(),
            start_order,
            extra: extra.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        };
        store_slots(&mut spec, &stored[..kept]);
        spec
    }
}

/// A quarter of proptest's usual number, 64, so that the whole file takes seconds; `PROPTEST_CASES=40000` makes it
/// 10,000.
fn cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases / 4,
        ..usual
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn both_forms_are_read_back_as_the_same_keys(spec in any_spec()) {
        let tree = DeviceTree::new(&spec).unwrap();
        for release in [Release::V14, Release::V15] {
            let keys = keys(&tree, release);
            prop_assert_eq!(&parse_argv(&argv(&tree), release).unwrap(), &keys);
            prop_assert_eq!(&parse_config_file(&config_file(&keys), release).unwrap(), &keys);
        }
    }

    #[test]
    fn what_is_printed_is_what_was_read(spec in any_spec()) {
        let words = argv(&DeviceTree::new(&spec).unwrap());
        prop_assert_eq!(&Arguments::parse(&words).unwrap().words(), &words);
        let stored = spec.clone().with_slots().unwrap();
        prop_assert_eq!(&argv(&DeviceTree::new(&stored).unwrap()), &words);
        prop_assert!(stored.nics.iter().all(|nic| nic.slot.is_some()));
        let text = toml::to_string(&stored).unwrap();
        prop_assert_eq!(toml::from_str::<VmSpec>(&text).unwrap(), stored);
    }

    #[test]
    fn any_spelling_is_printed_back_and_means_the_same(
        options in Just(WRITTEN.to_vec()).prop_shuffle(),
        join in prop::collection::vec(any::<bool>(), WRITTEN.len()),
        attach in prop::collection::vec(any::<bool>(), WRITTEN.len()),
        release in prop_oneof![Just(Release::V14), Just(Release::V15)],
    ) {
        let words = written(&options, &join, &attach);
        let arguments = Arguments::parse(&words).unwrap();
        prop_assert_eq!(arguments.words(), words);
        let plain = written(&WRITTEN, &[false; 12], &[false; 12]);
        let keys = parse_argv(&plain, release).unwrap();
        prop_assert_eq!(&arguments.keys(release).unwrap(), &keys);
        prop_assert_eq!(&parse_config_file(&config_file(&keys), release).unwrap(), &keys);
    }

    #[test]
    fn no_words_and_no_text_make_the_readers_panic(
        words in prop::collection::vec("-?[A-Za-z]{0,3}|[0-9:]{1,6},[a-z-]{1,12},[ -~]{0,12}|-[sloncpGf]|\\PC{0,12}", 0..8),
        text in "([a-z0-9.]{1,20}=[ -~]{0,8}\n|\\PC{0,30}\n){0,6}",
    ) {
        for release in [Release::V14, Release::V15] {
            if let Ok(arguments) = Arguments::parse(&words) {
                prop_assert_eq!(arguments.words(), words.clone());
                let _ = arguments.keys(release).map(|keys| config_file(&keys));
            }
            if let Ok(keys) = parse_config_file(&text, release) {
                prop_assert_eq!(parse_config_file(&config_file(&keys), release).unwrap(), keys);
            }
        }
    }

    #[test]
    fn every_device_has_a_slot_and_adding_one_of_a_kind_moves_no_other(spec in any_spec()) {
        let places = |spec: &VmSpec| -> BTreeSet<(Slot, String)> {
            let tree = DeviceTree::new(spec).unwrap();
            tree.devices().iter().map(|(slot, device)| (*slot, format!("{device:?}"))).collect()
        };
        let before = places(&spec);
        let fixed = 2 + usize::from(spec.random) + usize::from(spec.seed.is_some());
        prop_assert_eq!(before.len(), fixed + spec.disks.len() + spec.nics.len());
        let mut fewer = spec.clone();
        fewer.disks.pop();
        prop_assert!(places(&fewer).is_subset(&before));
        let mut fewer = spec;
        fewer.nics.pop();
        prop_assert!(places(&fewer).is_subset(&before));
    }

    #[test]
    fn no_path_can_say_anything_else_to_bhyve(text in "/[ -~\t\n\r]{0,12}|[^\0]{0,8}") {
        if let Ok(path) = text.parse::<HostPath>() {
            prop_assert!(path.as_str().starts_with('/'));
            prop_assert!(!path.as_str().contains([',', '%', '\\', '=', ' ', '\n', '\r', '#', '"', '\'', '$']));
        }
    }

    #[test]
    fn a_changed_byte_is_an_error_or_another_tree(spec in any_spec(), place in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f) {
        let keys = keys(&DeviceTree::new(&spec).unwrap(), Release::V15);
        let text = config_file(&keys);
        let mut changed = text.clone().into_bytes();
        let place = place.index(changed.len());
        prop_assume!(changed[place] != byte && byte != b'#');
        changed[place] = byte;
        let changed = String::from_utf8(changed).unwrap();
        if let Ok(read) = parse_config_file(&changed, Release::V15) {
            prop_assert_ne!(read, keys);
        }
    }
}
