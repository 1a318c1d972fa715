//! Settings: what can be changed while the engine runs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Declares a group of settings with their defaults, and the document that changes some of them.
macro_rules! settings {
    ($(#[$doc:meta])* $name:ident, $edit:ident {
        $($(#[$item:meta])* $field:ident: $type:ty = $default:expr,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(default)]
        pub struct $name { $($(#[$item])* pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        #[doc = "Changes some of these settings; what is left out stays."]
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $edit { $(
            $(#[$item])*
            #[serde(skip_serializing_if = "Option::is_none")]
            pub $field: Option<$type>,
        )* }

        impl $edit {
            fn apply(self, settings: &mut $name) {
                $(if let Some(value) = self.$field {
                    settings.$field = value;
                })*
            }
        }
    };
}

settings! {
    /// How often somebody may ask over TCP.
    RateLimits, RateLimitsEdit {
        /// Whether anybody is counted.
        enabled: bool = true,
        /// Attempts to be somebody, per address and minute.
        authentication_per_minute: u32 = 5,
        /// Requests without an API key that change nothing, per address and minute.
        reads_per_minute: u32 = 100,
        /// Requests without an API key that change something, per address and minute.
        writes_per_minute: u32 = 20,
        /// Requests with a key of the tier `free`, per key and hour.
        free_per_hour: u32 = 100,
        /// Requests with a key of the tier `professional`, per key and hour.
        professional_per_hour: u32 = 1000,
    }
}

settings! {
    /// What monitoring may read.
    MetricsSettings, MetricsSettingsEdit {
        /// Whether `/metrics` answers everybody; else it takes `metrics:read`.
        open: bool = false,
    }
}

settings! {
    /// When an alert is raised.
    AlertSettings, AlertSettingsEdit {
        /// A repository's storage is nearly full from this share on.
        repository_full_percent: u8 = 90,
        /// A backup is of an unusual size when it differs by more than this share from those before.
        size_anomaly_percent: u32 = 50,
    }
}

settings! {
    /// What requests of the engine to others may reach.
    OutboundSettings, OutboundSettingsEdit {
        /// Whether link-local addresses, where clouds answer with credentials, may be reached.
        allow_metadata_addresses: bool = false,
    }
}

settings! {
    /// Retention, where a job says nothing else.
    RetentionSettings, RetentionSettingsEdit {
        /// The largest share of a group's backups, in percent, that one application may delete.
        max_delete_percent: u8 = 50,
    }
}

settings! {
    /// Logins.
    SessionSettings, SessionSettingsEdit {
        /// How long a login lasts.
        lifetime_seconds: u32 = 12 * 60 * 60,
    }
}

settings! {
    /// How long the logs of runs are kept; the runs themselves stay longer.
    LogSettings, LogSettingsEdit {
        /// Days after which a log goes; 0 for never.
        run_days: u32 = 90,
        /// Of how many runs, the newest, logs are kept.
        run_count: u32 = 10_000,
    }
}

settings! {
    /// The care of repositories that system tasks take.
    MaintenanceSettings, MaintenanceSettingsEdit {
        /// How much of each repository's data one run of the task `check` reads.
        check_read_percent: u8 = 4,
        /// Days after which runs go, and backups that were not made; 0 for never. The runs of backups that
        /// are still there stay.
        keep_runs_days: u32 = 400,
    }
}

/// Everything that can be changed while the engine runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Settings {
    /// Where others reach this engine, for addresses that it hands out; without one they are
    /// built from the request's `Host`.
    pub public_url: Option<String>,
    /// How often somebody may ask.
    pub rate_limits: RateLimits,
    /// What monitoring may read.
    pub metrics: MetricsSettings,
    /// When an alert is raised.
    pub alerts: AlertSettings,
    /// What requests to others may reach.
    pub outbound: OutboundSettings,
    /// Retention, where a job says nothing else.
    pub retention: RetentionSettings,
    /// Logins.
    pub sessions: SessionSettings,
    /// How long logs are kept.
    pub logs: LogSettings,
    /// The care of repositories.
    pub maintenance: MaintenanceSettings,
}

/// Changes settings; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SettingsEdit {
    /// An absolute `http` or `https` URL; an empty text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// How often somebody may ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limits: Option<RateLimitsEdit>,
    /// What monitoring may read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsSettingsEdit>,
    /// When an alert is raised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts: Option<AlertSettingsEdit>,
    /// What requests to others may reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound: Option<OutboundSettingsEdit>,
    /// Retention, where a job says nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionSettingsEdit>,
    /// Logins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<SessionSettingsEdit>,
    /// How long logs are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<LogSettingsEdit>,
    /// The care of repositories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<MaintenanceSettingsEdit>,
}

impl SettingsEdit {
    /// The settings as they are afterwards; nothing is checked yet.
    pub(crate) fn applied(self, mut to: Settings) -> Settings {
        if let Some(url) = self.public_url {
            to.public_url = Some(url).filter(|url| !url.is_empty());
        }
        macro_rules! groups {
            ($($group:ident),*) => {$(
                if let Some(edit) = self.$group {
                    edit.apply(&mut to.$group);
                }
            )*};
        }
        groups!(
            rate_limits,
            metrics,
            alerts,
            outbound,
            retention,
            sessions,
            logs,
            maintenance
        );
        to
    }
}
