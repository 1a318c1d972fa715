//! The one table of actions. Keys, footer, help, palette, `KEYS.md` and read-only gating are made of it.

/// How much an action can lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    /// Nothing is changed: the only ones in a console that only reads.
    Look,
    /// Something is done that nobody can regret: a backup, a test.
    Safe,
    /// It can be undone: asked once.
    Reversible,
    /// It costs time, space or load: a plan, then a button.
    Costly,
    /// It cannot be undone: a plan, then the name of what it is done to, typed.
    Irreversible,
}

/// Where an action is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Context {
    Global,
    List,
    Text,
    Overview,
    Connections,
    Connection,
    Backups,
    Backup,
    Objects,
    Runs,
    Run,
    Log,
    Jobs,
    Retention,
    Repositories,
    Repository,
    Trash,
    Alerts,
    Audit,
    Settings,
    Wizard,
}

impl Context {
    pub(crate) const ALL: &'static [Self] = &[
        Self::Global,
        Self::List,
        Self::Text,
        Self::Overview,
        Self::Connections,
        Self::Connection,
        Self::Backups,
        Self::Backup,
        Self::Objects,
        Self::Runs,
        Self::Run,
        Self::Log,
        Self::Jobs,
        Self::Retention,
        Self::Repositories,
        Self::Repository,
        Self::Trash,
        Self::Alerts,
        Self::Audit,
        Self::Settings,
        Self::Wizard,
    ];

    /// What else holds where it does: its keys come first, so none of them may be one of these.
    pub(crate) fn over(self) -> &'static [Self] {
        match self {
            Self::Global => &[],
            Self::List | Self::Text => &[Self::Global],
            Self::Run => &[Self::Log, Self::Text, Self::Global],
            Self::Log | Self::Backup => &[Self::Text, Self::Global],
            _ => &[Self::List, Self::Global],
        }
    }

    /// As it is written in the keymap file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::List => "list",
            Self::Text => "text",
            Self::Overview => "overview",
            Self::Connections => "connections",
            Self::Connection => "connection",
            Self::Backups => "backups",
            Self::Backup => "backup",
            Self::Objects => "objects",
            Self::Runs => "runs",
            Self::Run => "run",
            Self::Log => "log",
            Self::Jobs => "jobs",
            Self::Retention => "retention",
            Self::Repositories => "repositories",
            Self::Repository => "repository",
            Self::Trash => "trash",
            Self::Alerts => "alerts",
            Self::Audit => "audit",
            Self::Settings => "settings",
            Self::Wizard => "wizard",
        }
    }
}

/// What the table says of one action.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) action: Action,
    /// As it is written in the keymap file and the palette.
    pub(crate) name: &'static str,
    /// What it is bound to unless the keymap file says otherwise.
    pub(crate) keys: &'static [&'static str],
    pub(crate) contexts: &'static [Context],
    pub(crate) tier: Tier,
    /// The word in the footer; empty for what goes without saying.
    pub(crate) hint: &'static str,
    pub(crate) help: &'static str,
}

macro_rules! actions {
    ($($action:ident $name:literal [$($key:literal),*] in [$($context:ident),+] $tier:ident $hint:literal, $help:literal;)+) => {
        /// Something that can be done with a key or from the palette.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum Action { $($action),+ }

        /// Every action, in the order of the help.
        pub(crate) static ACTIONS: &[Row] = &[$(Row {
            action: Action::$action,
            name: $name,
            keys: &[$($key),*],
            contexts: &[$(Context::$context),+],
            tier: Tier::$tier,
            hint: $hint,
            help: $help,
        }),+];
    };
}

actions! {
    // What a screen's objects can be asked to do.
    Next "next" ["enter"] in [Wizard] Look "go on", "Go on to the next step; esc goes back, and what was chosen stays";
    OpenBackup "backup" ["enter"] in [Run] Look "backup", "Show the backup that the run is about";
    Open "open" ["enter"] in [List] Look "open", "Open what is selected";
    BackUp "back-up" ["b"] in [Overview, Connections, Connection, Backups] Safe "back up", "Back up the selected database now";
    Restore "restore" ["R"] in [Overview, Connections, Connection, Backups, Backup, Objects, Wizard] Costly "restore", "Restore: choose what, where and when, see the plan, then start";
    Rows "rows" ["v"] in [Objects] Safe "rows", "Show the first rows of the table as the backup holds them";
    Browse "browse" ["o"] in [Backups, Backup] Look "browse", "Browse the schemas and tables in the backup";
    Verify "verify" ["v"] in [Backups, Backup, Connection] Safe "verify", "Prove the backup: read and decode everything in it";
    Log "log" ["l"] in [Backups, Backup, Runs, Run, Jobs] Look "log", "Show the log";
    Pin "pin" ["p"] in [Backups, Backup] Safe "pin", "Keep the backup until a date, whatever the retention says; or no longer";
    Annotate "annotate" ["n"] in [Backups, Backup] Safe "note", "Give the backup a label and a note";
    Compare "compare" ["="] in [Backups] Look "compare", "Compare the two marked backups: objects added, removed, changed";
    Delete "delete" ["D"] in [Backups, Backup, Jobs, Connections, Connection] Reversible "delete", "Delete what is selected or marked; backups can be brought back until the next prune";
    Cancel "cancel" ["x"] in [Overview, Runs, Run] Reversible "cancel", "Cancel the selected run";
    Add "add" ["a"] in [Overview, Connections, Jobs, Repositories] Safe "add", "Add one: a form, tested before it is saved";
    Rename "rename" ["e"] in [Wizard] Look "other name", "Restore the table under another name";
    Edit "edit" ["e"] in [Connections, Connection, Jobs, Settings] Safe "edit", "Edit what is selected";
    EditText "edit-text" ["E"] in [Jobs, Settings] Safe "", "Edit what is selected as text in $EDITOR";
    Test "test" ["t"] in [Connections, Connection, Repositories, Repository] Safe "test", "Test whether it answers and allows what is needed";
    Discover "discover" ["d"] in [Connections, Connection] Safe "discover", "Look for databases that were added to the server";
    Select "select" ["s"] in [Connection] Safe "select", "Put the database into whole-server backups, or take it out";
    RunNow "run-now" ["b"] in [Jobs, Settings] Safe "run now", "Run it now";
    Pause "pause" ["p"] in [Jobs, Settings] Reversible "pause", "Pause it, or let it go on";
    Clone "clone" ["c"] in [Jobs] Safe "clone", "Make another like it";
    EditHere "edit-here" ["ctrl-e"] in [Jobs, Settings] Safe "", "Edit what is selected as text here, without another program";
    SaveRules "save-rules" ["R"] in [Retention] Costly "save rules", "Save these rules for the job: which backups they delete is asked first";
    Retention "retention" ["w"] in [Jobs] Look "what-if", "Try other retention rules and see which backups would go, and why";
    Check "check" ["v"] in [Repositories, Repository] Safe "check", "Check the repository: everything that should be there is, and can be read";
    Prune "prune" ["P"] in [Repositories, Repository] Irreversible "prune", "Free the space of what was deleted: the plan first";
    SetDefault "set-default" ["d"] in [Repositories, Repository] Reversible "default", "Make it the repository that backups go to when none is named";
    Trash "trash" ["u"] in [Repository, Repositories] Look "undelete", "Show deleted backups, and bring one back";
    Read "read" ["r"] in [Alerts] Safe "read", "Mark the alert as read";
    Dismiss "dismiss" ["x"] in [Alerts] Reversible "dismiss", "Dismiss the alert; it comes again only when its state does";
    Undelete "undelete" ["u"] in [Trash] Safe "bring back", "Bring the deleted backup back";
    ShowAll "show-all" ["A"] in [Alerts, Runs, Backups] Look "all", "Show the dismissed or ended ones too, or only the others";
    Calendar "calendar" ["c"] in [Overview, Connections, Connection] Look "calendar", "Show a calendar of results";
    Coverage "coverage" ["C"] in [Connections, Connection] Look "coverage", "Show the times the connection can be brought back to";
    VerifyAudit "verify-audit" ["v"] in [Audit] Look "verify", "Check that nothing was changed in the audit log or cut out of it";

    // Logs.
    Follow "follow" ["f"] in [Log] Look "follow", "Follow the end, or stay";
    Wrap "wrap" ["w"] in [Log] Look "wrap", "Wrap long lines, or cut them";
    Timestamps "timestamps" ["t"] in [Log] Look "times", "Show or hide times";
    NextMatch "next-match" ["n"] in [Log] Look "", "Go to the next match";
    PreviousMatch "previous-match" ["N"] in [Log] Look "", "Go to the match before";

    // Lists.
    Down "down" ["j", "down"] in [List, Text] Look "", "Go down";
    Up "up" ["k", "up"] in [List, Text] Look "", "Go up";
    PageDown "page-down" ["pgdn", "ctrl-f"] in [List, Text] Look "", "Go a page down";
    PageUp "page-up" ["pgup", "ctrl-b"] in [List, Text] Look "", "Go a page up";
    HalfDown "half-down" ["ctrl-d"] in [List, Text] Look "", "Go half a page down";
    HalfUp "half-up" ["ctrl-u"] in [List, Text] Look "", "Go half a page up";
    First "first" ["g g", "home"] in [List, Text] Look "", "Go to the first";
    Last "last" ["G", "end"] in [List, Text] Look "", "Go to the last";
    Left "left" ["h", "left"] in [List, Text] Look "", "Scroll columns to the left";
    Right "right" ["right"] in [List, Text] Look "", "Scroll columns to the right";
    Mark "mark" ["space"] in [List] Look "mark", "Mark or unmark, and go down; actions are done to all that is marked";
    MarkRange "mark-range" ["V"] in [List] Look "", "Mark everything from the last mark to here";
    MarkAll "mark-all" ["*"] in [List] Look "", "Mark everything the filter shows";
    Sort "sort" ["S"] in [List] Look "sort", "Sort by the next column; at last in the list's own order";
    SortReverse "sort-reverse" ["ctrl-s"] in [List] Look "", "Sort the other way round";
    Wide "wide" ["W"] in [List] Look "", "Show all columns, or those that fit";

    // Everywhere.
    GoOverview "overview" ["1", "g o"] in [Global] Look "", "Go to the overview: is everything protected?";
    GoConnections "connections" ["2", "g c"] in [Global] Look "", "Go to the connections";
    GoBackups "backups" ["3", "g b"] in [Global] Look "", "Go to the backups";
    GoRuns "runs" ["4", "g r"] in [Global] Look "", "Go to the runs";
    GoJobs "jobs" ["5", "g j"] in [Global] Look "", "Go to the jobs";
    GoRepositories "repositories" ["6", "g s"] in [Global] Look "", "Go to the repositories";
    GoAlerts "alerts" ["7", "g a"] in [Global] Look "", "Go to the alerts";
    GoAudit "audit" ["8", "g u"] in [Global] Look "", "Go to the audit log";
    GoSettings "settings" ["9", "g e"] in [Global] Look "", "Go to the settings";
    GoContexts "contexts" ["0", "g x"] in [Global] Look "", "Choose another engine";
    Filter "filter" ["/"] in [Global] Look "filter", "Filter a list, or search a log; `!word` shows the others";
    Palette "palette" [":", "ctrl-p"] in [Global] Look "command", "Find any action by its name";
    Help "help" ["?"] in [Global] Look "help", "Show what can be done here, and why something cannot";
    Back "back" ["esc", "backspace"] in [Global] Look "", "Close, clear the filter, clear the marks, or go back; never leaves the console";
    HistoryBack "history-back" ["["] in [Global] Look "", "Go to where you were before";
    HistoryForward "history-forward" ["]"] in [Global] Look "", "Go forward again";
    NextPane "next-pane" ["tab"] in [Global] Look "", "Go to the next part of the screen";
    PreviousPane "previous-pane" ["shift-tab"] in [Global] Look "", "Go to the part before";
    Refresh "refresh" ["ctrl-r"] in [Global] Look "", "Ask the engine again for everything shown";
    Freeze "freeze" ["z z"] in [Global] Look "", "Stop live updates, or go on";
    CopyId "copy" ["y"] in [Global] Look "copy", "Copy the id of what is selected";
    CopyCommand "copy-command" ["Y"] in [Global] Look "", "Copy the command line that shows or does the same";
    LastRun "last-run" ["g l"] in [Global] Look "", "Go to the run that was started last";
    Messages "messages" ["m"] in [Global] Look "", "Show the messages there were";
    Keys "keys" ["K"] in [Global] Look "", "Show every key of every screen";
    MoreHints "more-hints" ["."] in [Global] Look "", "Show more keys in the footer, or fewer";
    Mouse "mouse" ["z m"] in [Global] Look "", "Let the console take the mouse, or leave it to the terminal";
    Theme "theme" ["z t"] in [Global] Look "", "Use the next theme";
    Redraw "redraw" ["ctrl-l"] in [Global] Look "", "Draw the whole screen again";
    Suspend "suspend" ["ctrl-z"] in [Global] Look "", "Leave the console for the shell; `fg` comes back";
    Quit "quit" ["q", "ctrl-c"] in [Global] Look "quit", "Leave the console; the engine and its runs go on";
}

impl Action {
    /// What the table says of it.
    pub(crate) fn row(self) -> &'static Row {
        // The table is in the order of the enum: both are made of one list.
        &ACTIONS[self as usize]
    }
}
