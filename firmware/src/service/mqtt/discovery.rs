//! What Home Assistant is told: one device with a binary sensor per label.
//!
//! The document is that of <https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload>.

use serde_json::{Map, Value, json};

/// The discovery document of the device `name`, whose topics stand under `base`.
pub fn document(name: &str, base: &str, labels: &[String]) -> Value {
    let sensor = |label: &String| {
        let slug = slug(label);
        let document = json!({
            "platform": "binary_sensor",
            "name": label,
            "unique_id": format!("graphtag_{name}_{slug}"),
            "state_topic": format!("{base}/tags/{slug}"),
            "payload_on": "ON",
            "payload_off": "OFF",
        });
        (slug, document)
    };
    let components: Map<String, Value> = labels.iter().map(sensor).collect();
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

/// `label` as part of a topic and of an identifier: letters, digits, `_` and `-` alone.
pub fn slug(label: &str) -> String {
    let characters = label.chars().map(|character| match character {
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
        let document = document("porch", "graphtag/porch", &labels);
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
}
