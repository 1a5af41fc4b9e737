//! What Home Assistant is told: one device with a binary sensor per label.
//!
//! The document is that of <https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload>.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Hexadecimal digits that tell labels with one slug apart.
const DIGITS: usize = 8;

/// The discovery document of the device `name`, whose topics stand under `base`, with a sensor for every label; the
/// sensors with the ids `gone` are removed.
pub fn document(name: &str, base: &str, labels: &[String], gone: &[String]) -> Value {
    let sensor = |(label, id): (&String, String)| {
        let document = json!({
            "platform": "binary_sensor",
            "name": label,
            "unique_id": format!("graphtag_{name}_{id}"),
            "state_topic": format!("{base}/tags/{id}"),
            "payload_on": "ON",
            "payload_off": "OFF",
        });
        (id, document)
    };
    // A component without anything but its platform is one that is removed.
    let removal = |id: &String| (id.clone(), json!({"platform": "binary_sensor"}));
    let sensors = labels.iter().zip(ids(labels)).map(sensor);
    let components: Map<String, Value> = gone.iter().map(removal).chain(sensors).collect();
    json!({
        "device": {
            "identifiers": [format!("graphtag_{name}")],
            "name": name,
            "manufacturer": "graphtag",
            "model": "camera tagger",
            "sw_version": env!("CARGO_PKG_VERSION"),
        },
        "origin": {"name": "graphtag", "sw_version": env!("CARGO_PKG_VERSION")},
        "availability_topic": format!("{base}/availability"),
        "payload_available": "online",
        "payload_not_available": "offline",
        "components": components,
        "qos": 1,
    })
}

/// The ids of the sensors that a discovery document lists, as far as they could be ours; none for anything else.
pub fn listed(document: &[u8]) -> BTreeSet<String> {
    let document: Value = serde_json::from_slice(document).unwrap_or_default();
    let components = document["components"].as_object().into_iter().flatten();
    let sensors = components.filter(|(id, sensor)| {
        !id.is_empty() && slug(id) == **id && sensor["state_topic"].is_string()
    });
    sensors.map(|(id, _)| id.clone()).collect()
}

/// What each label is called in topics and identifiers: its slug; for a label that is not ASCII, or whose slug an
/// earlier one has, the slug and the begin of the label's SHA-256.
pub fn ids(labels: &[String]) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut take = |id: String| taken.insert(id.clone()).then_some(id);
    let plain = labels.iter().map(|label| {
        let slug = label.is_ascii().then(|| slug(label));
        slug.and_then(&mut take)
    });
    let plain: Vec<Option<String>> = plain.collect();
    let mut with_hash = |label: &String| {
        let digest = Sha256::digest(label)
            .iter()
            .fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"));
        let mut lengths = DIGITS..digest.len();
        let id = lengths.find_map(|length| take(format!("{}_{}", slug(label), &digest[..length])));
        id.unwrap_or(digest)
    };
    let labels = labels.iter().zip(plain);
    labels
        .map(|(label, id)| id.unwrap_or_else(|| with_hash(label)))
        .collect()
}

/// `text` as part of a topic and of an identifier: letters, digits, `_` and `-` alone.
pub fn slug(text: &str) -> String {
    let characters = text.chars().map(|character| match character {
        'a'..='z' | '0'..='9' | '_' | '-' => character,
        'A'..='Z' => character.to_ascii_lowercase(),
        _ => '_',
    });
    characters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_becomes_a_sensor_of_one_device() {
        let labels = ["person".into(), "dining table".into()];
        let document = document("porch", "graphtag/porch", &labels, &[]);
        assert_eq!(document["device"]["identifiers"][0], "graphtag_porch");
        assert_eq!(
            document["availability_topic"],
            "graphtag/porch/availability"
        );
        let table = &document["components"]["dining_table"];
        assert_eq!(table["platform"], "binary_sensor");
        assert_eq!(table["name"], "dining table");
        assert_eq!(table["state_topic"], "graphtag/porch/tags/dining_table");
        assert_eq!(table["unique_id"], "graphtag_porch_dining_table");
    }

    #[test]
    fn a_slug_can_not_leave_its_topic() {
        assert_eq!(slug("A/b+#c é"), "a_b__c__");
    }

    #[test]
    fn a_document_removes_what_is_gone_and_lists_the_rest() {
        let labels = ["person".into(), "猫".into()];
        let document = document("porch", "graphtag/porch", &labels, &["cat".into()]);
        let removal = json!({"platform": "binary_sensor"});
        assert_eq!(document["components"]["cat"], removal);
        let listed = listed(document.to_string().as_bytes());
        assert_eq!(listed, BTreeSet::from_iter(ids(&labels)));
    }

    #[test]
    fn what_is_not_ours_is_not_listed() {
        for document in [
            "",
            "[]",
            r#"{"components": [1]}"#,
            r##"{"components": {"#": {"state_topic": "a"}, "A/b": {"state_topic": "a"}, "": {"state_topic": "a"}}}"##,
        ] {
            assert_eq!(listed(document.as_bytes()), BTreeSet::new(), "{document}");
        }
    }

    #[test]
    fn every_label_has_an_id_of_its_own() {
        let labels = [
            "Dining Table",
            "dining table",
            "猫",
            "狗",
            "Vögel",
            "cat",
            "_",
        ];
        let labels = labels.map(String::from);
        let ids = ids(&labels);
        assert_eq!(BTreeSet::from_iter(&ids).len(), labels.len(), "{ids:?}");
        assert_eq!((&*ids[0], &*ids[5], &*ids[6]), ("dining_table", "cat", "_"));
        assert!(ids[1].starts_with("dining_table_"), "{ids:?}");
        assert_eq!(ids[2], "__a810bf84");
        for id in &ids {
            assert_eq!(slug(id), *id);
        }
        assert_eq!(super::ids(&labels[2..3])[0], ids[2]);
    }
}
