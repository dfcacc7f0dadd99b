use super::{ObjectPlace, Place, Told, in_query};

#[test]
fn each_place_is_found_at_its_address() {
    let object = |namespace: Option<&str>, name: &str| {
        Place::Object(ObjectPlace {
            plural: "rolebindings".to_owned(),
            namespace: namespace.map(ToOwned::to_owned),
            name: name.to_owned(),
        })
    };
    let places = [
        Place::Control,
        Place::Edit { pull: None },
        Place::Edit { pull: Some(3) },
        Place::Pull(3),
        Place::Check(1_014),
        Place::Organization,
        Place::Cluster,
        object(None, "x"),
        object(Some("ai"), "system:odd/name %"),
        Place::Webhooks,
        Place::Delivery(1_020),
    ];
    for place in places {
        let address = place.address().parse().unwrap();
        assert_eq!(Place::at(&address), Some(place));
    }
    for address in ["/pulls/x", "/nowhere", "/cluster/a/b/c/d"] {
        assert_eq!(Place::at(&address.parse().unwrap()), None);
    }
}

#[test]
fn what_is_told_is_told_at_the_next_place() {
    for told in Told::ALL {
        let address = Place::Pull(1).telling(told);
        let (_, query) = address.split_once('?').unwrap();
        assert_eq!(Told::in_query(Some(query)), Some(told));
    }
    assert_eq!(Told::in_query(Some("told=nothing")), None);
    assert_eq!(
        in_query(Some("a=1&of=%2Fpulls%2F3"), "of").as_deref(),
        Some("/pulls/3")
    );
}
