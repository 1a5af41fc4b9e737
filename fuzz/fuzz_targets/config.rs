//! A configuration file, and what its values become.

#![no_main]

use graphtag::service::settings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match settings::parse(text) {
        Ok(settings) => {
            // Refused or not: neither panics.
            let _ = settings.stream();
            let _ = settings.thresholds();
            let _ = settings.output();
            let _ = settings.mqtt();
            let _ = settings.display();
        }
        Err(error) => assert!(!format!("{error:#}").contains('\n'), "{error:#}"),
    }
});
