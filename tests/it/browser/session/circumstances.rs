//! The circumstances of a person at a browser: screen, preferences, connection.

use serde_json::{Value, json};

use super::{Browser, Vendor};

impl Browser {
    pub async fn has_a_screen_of(&self, width: u32, height: u32) {
        let screen =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.runs_command("Emulation.setDeviceMetricsOverride", screen)
            .await;
    }

    /// Emulates a colour scheme, with reduced motion.
    pub async fn prefers(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]);
        self.runs_command("Emulation.setEmulatedMedia", json!({"features": features}))
            .await;
    }

    pub async fn has_no_scripts(&self) {
        self.runs_command(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": true}),
        )
        .await;
    }

    /// Emulates an outage that the browser itself detects, or its end.
    pub async fn is_offline(&self, offline: bool) {
        let conditions = json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.runs_command("Network.enable", json!({})).await;
        self.runs_command("Network.emulateNetworkConditions", conditions)
            .await;
    }

    /// Delays every response by `latency` milliseconds.
    pub async fn has_latency(&self, latency: u32) {
        let conditions = json!({"offline": false, "latency": latency, "downloadThroughput": -1, "uploadThroughput": -1});
        self.runs_command("Network.enable", json!({})).await;
        self.runs_command("Network.emulateNetworkConditions", conditions)
            .await;
    }

    pub async fn runs_command(&self, command: &'static str, params: Value) -> Value {
        let body = json!({"cmd": command, "params": params});
        self.client
            .issue_cmd(Vendor("goog/cdp/execute", body))
            .await
            .unwrap()
    }
}
