//! What is published, and when.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphtag_runtime::stream::Observation;
use rumqttc::{AsyncClient, ClientError, QoS};
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;

use super::connection::Heard;
use super::{FAREWELL, HOME_ASSISTANT_STATUS, MqttOptions, discovery};
use crate::service::live::Live;
use crate::service::report;

/// The state is published this often even if nothing but scores has changed.
const STATE_PERIOD: Duration = Duration::from_secs(10);

/// Publishes what `live` knows.
pub struct Publishing<'a> {
    options: &'a MqttOptions,
    client: AsyncClient,
    live: Arc<Live>,
    told: Option<Told>,
    /// The sensors that Home Assistant and the broker may know, of whichever model.
    known: BTreeSet<String>,
}

/// What the broker was last told.
struct Told {
    labels: Arc<[String]>,
    /// The id of every label.
    ids: Vec<String>,
    present: Vec<bool>,
    at: Instant,
}

impl<'a> Publishing<'a> {
    pub fn new(options: &'a MqttOptions, client: AsyncClient, live: Arc<Live>) -> Self {
        Publishing {
            options,
            client,
            live,
            told: None,
            known: BTreeSet::new(),
        }
    }

    /// Publishes until `stopped`, and then that the service is gone.
    pub async fn run(
        mut self,
        mut heard: watch::Receiver<Heard>,
        mut stopped: watch::Receiver<bool>,
    ) {
        tokio::select! {
            _ = self.publish(&mut heard) => {}
            _ = stopped.wait_for(|&stop| stop) => {}
        }
        if heard.borrow().connections > 0 {
            // The Will says it as well, later.
            let _ = timeout(FAREWELL, self.leave(heard)).await;
        }
    }

    /// Fails only when the connection's side is gone.
    async fn publish(&mut self, heard: &mut watch::Receiver<Heard>) -> Result<(), ClientError> {
        let mut latest = self.live.latest();
        let mut events = self.live.events();
        let mut before = Heard::default();
        loop {
            tokio::select! {
                Ok(()) = heard.changed() => {
                    let now = heard.borrow_and_update().clone();
                    self.hear(&now, &before).await?;
                    before = now;
                }
                Ok(()) = latest.changed() => {}
                event = events.recv() => match event {
                    Ok(event) if before.connections > 0 => {
                        self.send("events", false, to_json(&event)).await?;
                    }
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                },
                else => return Ok(()),
            }
            if before.connections == 0 {
                continue;
            }
            let observation = latest.borrow_and_update().clone();
            if let Some(observation) = observation {
                self.update(&observation).await?;
            }
        }
    }

    /// Does what is to do about what was heard since `before`.
    async fn hear(&mut self, now: &Heard, before: &Heard) -> Result<(), ClientError> {
        if now.connections > before.connections {
            for topic in [
                HOME_ASSISTANT_STATUS.to_owned(),
                self.options.topic("availability"),
                self.options.discovery_topic(),
            ] {
                self.client.subscribe(topic, QoS::AtMostOnce).await?;
            }
        }
        let unknown = now.kept != before.kept && !now.kept.is_subset(&self.known);
        if unknown {
            self.known.extend(now.kept.iter().cloned());
        }
        if unknown || now.connections > before.connections || now.births > before.births {
            self.told = None;
        }
        if now.denials > before.denials && self.told.is_some() {
            self.send("availability", true, "online".into()).await?;
        }
        Ok(())
    }

    /// Publishes what the broker was not told yet.
    async fn update(&mut self, observation: &Observation) -> Result<(), ClientError> {
        let told = self.told.as_ref();
        let told = told.filter(|told| Arc::ptr_eq(&told.labels, &observation.labels));
        let Some(told) = told else {
            return self.tell_all(observation).await;
        };
        let present = presence(observation);
        let mut changed = told.at.elapsed() > STATE_PERIOD;
        for (id, (now, before)) in told.ids.iter().zip(present.iter().zip(&told.present)) {
            if now != before {
                self.send_tag(id, *now).await?;
                changed = true;
            }
        }
        if changed {
            self.send_state(observation).await?;
            // Only now: the end may come at any of the messages, and repeats what was not told.
            if let Some(told) = &mut self.told {
                told.present = present;
                told.at = Instant::now();
            }
        }
        Ok(())
    }

    /// Publishes everything, and removes the sensors of labels that are no more.
    async fn tell_all(&mut self, observation: &Observation) -> Result<(), ClientError> {
        let ids = discovery::ids(&observation.labels);
        let gone = self.known.iter().filter(|id| !ids.contains(id));
        let gone: Vec<String> = gone.cloned().collect();
        let document = discovery::document(
            &self.options.name,
            &self.options.base(),
            &observation.labels,
            &gone,
        );
        let topic = self.options.discovery_topic();
        self.client
            .publish(topic, QoS::AtLeastOnce, true, document.to_string())
            .await?;
        for id in &gone {
            // An empty message is how a broker forgets one.
            self.send(&tag_topic(id), true, String::new()).await?;
        }
        let present = presence(observation);
        for (id, &now) in ids.iter().zip(&present) {
            self.send_tag(id, now).await?;
        }
        self.send("availability", true, "online".into()).await?;
        self.send_state(observation).await?;
        self.known = ids.iter().cloned().collect();
        self.told = Some(Told {
            labels: observation.labels.clone(),
            ids,
            present,
            at: Instant::now(),
        });
        Ok(())
    }

    async fn leave(&mut self, mut heard: watch::Receiver<Heard>) -> Result<(), ClientError> {
        // What vanished with the stream, so that nothing that is retained tells otherwise.
        let latest = self.live.latest().borrow().clone();
        if let Some(observation) = latest {
            self.update(&observation).await?;
        }
        let denials = heard.borrow().denials;
        self.send("availability", true, "offline".into()).await?;
        // A broker that still has something to send to a client that is gone forgets what it has not yet read of it.
        // This last message comes back, as to all that listen, after the answers to those before it.
        let _ = heard.wait_for(|heard| heard.denials > denials).await;
        self.client.disconnect().await?;
        // The connection's side returns once the message is out, and this ends with it.
        std::future::pending().await
    }

    async fn send_tag(&self, id: &str, present: bool) -> Result<(), ClientError> {
        let payload = if present { "ON" } else { "OFF" };
        self.send(&tag_topic(id), true, payload.into()).await
    }

    async fn send_state(&self, observation: &Observation) -> Result<(), ClientError> {
        let state = serde_json::json!({"tags": report::present(observation)});
        self.send("state", true, state.to_string()).await
    }

    async fn send(&self, below: &str, retain: bool, payload: String) -> Result<(), ClientError> {
        let topic = self.options.topic(below);
        self.client
            .publish(topic, QoS::AtLeastOnce, retain, payload)
            .await
    }
}

fn tag_topic(id: &str) -> String {
    format!("tags/{id}")
}

fn presence(observation: &Observation) -> Vec<bool> {
    let mut present = vec![false; observation.labels.len()];
    for label in &observation.present {
        present[label.label] = true;
    }
    present
}

fn to_json(document: &impl serde::Serialize) -> String {
    serde_json::to_string(document).unwrap_or_default()
}
