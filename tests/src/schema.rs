//! Whether a document is as a JSON schema describes it; as much of JSON schema as `openapi.json` uses.

use serde_json::Value;

/// What a keyword asks that only annotates, or that is read together with another.
const ANNOTATIONS: [&str; 2] = ["description", "additionalProperties"];

/// What of `value` is not as `schema` says, whose references are within `root`; each with its place.
///
/// # Panics
/// On a keyword that is not known here, so that nothing counts as checked that is not.
pub fn problems(value: &Value, schema: &Value, root: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    check(value, schema, root, "", &mut problems);
    problems
}

fn check(value: &Value, schema: &Value, root: &Value, at: &str, problems: &mut Vec<String>) {
    for (keyword, wanted) in schema.as_object().unwrap() {
        let well = match keyword.as_str() {
            "$ref" => {
                let pointer = wanted.as_str().unwrap().trim_start_matches('#');
                let target = root.pointer(pointer);
                let target = target.unwrap_or_else(|| panic!("{wanted} leads nowhere"));
                check(value, target, root, at, problems);
                true
            }
            "type" => match wanted {
                Value::Array(kinds) => kinds.iter().any(|kind| is(value, kind)),
                kind => is(value, kind),
            },
            "enum" => wanted.as_array().unwrap().contains(value),
            "minimum" => value.as_f64() >= wanted.as_f64(),
            "maximum" => value.as_f64() <= wanted.as_f64(),
            "required" => {
                let mut names = wanted.as_array().unwrap().iter();
                names.all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "properties" => {
                let wanted = wanted.as_object().unwrap();
                for (name, part) in value.as_object().into_iter().flatten() {
                    match wanted.get(name) {
                        Some(schema) => {
                            check(part, schema, root, &format!("{at}/{name}"), problems)
                        }
                        // Stricter than JSON schema: what is not described does not count as described.
                        None => problems.push(format!("{at}/{name} is not described")),
                    }
                }
                true
            }
            "items" => {
                for (index, part) in value.as_array().into_iter().flatten().enumerate() {
                    check(part, wanted, root, &format!("{at}/{index}"), problems);
                }
                true
            }
            "oneOf" => {
                let choices = wanted.as_array().unwrap().iter();
                let fitting =
                    choices.filter(|choice| self::problems(value, choice, root).is_empty());
                fitting.count() == 1
            }
            keyword if ANNOTATIONS.contains(&keyword) => true,
            keyword => panic!("{keyword} is not known here"),
        };
        if !well {
            problems.push(format!("{at}: {value} is not of {keyword} {wanted}"));
        }
    }
}

fn is(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        kind => panic!("{kind} is no type"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        let root = json!({"a": {"type": "array", "items": {"type": ["integer", "null"]}}});
        let schema = json!({
            "type": "object",
            "required": ["list"],
            "properties": {"list": {"$ref": "#/a"}, "one": {"oneOf": [{"minimum": 3}, {"maximum": 5}]}},
        });
        let problems = |value| problems(&value, &schema, &root);
        assert_eq!(
            problems(json!({"list": [1, null], "one": 9})),
            Vec::<String>::new()
        );
        let found = problems(json!({"list": [1, 1.5], "one": 4, "two": 2}));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found[0].starts_with("/list/1: 1.5 is not of type"),
            "{found:?}"
        );
        assert!(found[1].starts_with("/one: 4 is not of oneOf"), "{found:?}");
        assert_eq!(found[2], "/two is not described");
        assert_eq!(problems(json!({})).len(), 1);
    }
}
