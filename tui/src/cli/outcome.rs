//! What a finished run found or did, in words; `--json` has the same as numbers under fixed names.

use backstay_engine::model::{
    CheckReport, Damage, DrillReport, PruneReport, RebuildReport, RepairReport, Run, RunKind,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::output::{Paint, Table, bytes, clean, count, duration_ms};

/// Lines of one kind that are shown; the record has all.
const LINES_SHOWN: usize = 50;

/// The outcome of a check, prune, repair, rebuild, proof, restore or drill; `None` where there is nothing to say.
pub(crate) fn outcome(run: &Run) -> Option<String> {
    let text = match run.kind {
        RunKind::Check => check(&report(run)?),
        RunKind::Prune => prune(&report(run)?),
        RunKind::Repair => repair(&report(run)?),
        RunKind::Rebuild => rebuild(&report(run)?),
        RunKind::Verify => verify(&run.result)?,
        RunKind::Restore => restore(&run.result)?,
        RunKind::Drill => drill(&report(run)?),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

fn report<T: DeserializeOwned>(run: &Run) -> Option<T> {
    serde_json::from_value(run.result.clone()).ok()
}

fn check(report: &CheckReport) -> String {
    let mut table = Table::facts();
    table
        .fact("backups followed", count(report.backups))
        .fact("files of data (packs)", count(report.packs))
        .fact("pieces of data (chunks)", count(report.chunks))
        .fact(
            "read and compared",
            match report.read_data_percent {
                0 => "nothing; --read-data 100% reads all data, 5% a part each time".to_owned(),
                percent => format!("{}, {percent} % of the data", bytes(report.read_bytes)),
            },
        );
    if report.ok {
        table.fact("damage", "none");
    } else {
        table.fact("damaged or missing", count(report.damages_total));
    }
    let damages: Vec<_> = report.damages.iter().map(damage).collect();
    lines(&table, &damages)
}

fn damage(damage: &Damage) -> String {
    let mut text = format!("{}: {}", clean(&damage.object), clean(&damage.message));
    if !damage.backups.is_empty() {
        let backups: Vec<_> = damage.backups.iter().map(ToString::to_string).collect();
        text.push_str(&format!(" ({})", backups.join(", ")));
    }
    text
}

fn prune(report: &PruneReport) -> String {
    let (freed, deleted, copied) = if report.dry_run {
        ("would be freed", "would be deleted", "would be copied")
    } else {
        ("freed", "deleted", "copied")
    };
    let packs = |number: u64| match number {
        1 => "1 file of data (pack)".to_owned(),
        _ => format!("{} files of data (packs)", count(number)),
    };
    let mut table = Table::facts();
    table
        .fact(freed, bytes(report.freed_bytes))
        .fact(deleted, packs(report.delete_packs));
    if report.repack_bytes > 0 {
        let files = match report.repack_packs {
            0 => "files that are little used".to_owned(),
            number => format!("{} that are little used", packs(number)),
        };
        let text = format!("{} out of {files}", bytes(report.repack_bytes));
        table.fact(copied, text);
    }
    let (number, size) = (packs(report.keep_packs), bytes(report.keep_bytes));
    table.fact("kept", format!("{number}, {size}"));
    if report.purged_backups > 0 {
        table.fact(
            "out of the trash for good",
            match report.purged_backups {
                1 => "1 backup".to_owned(),
                number => format!("{} backups", count(number)),
            },
        );
    }
    lines(&table, &cleaned(&report.messages))
}

fn repair(report: &RepairReport) -> String {
    let mut table = Table::facts();
    table
        .fact("files of data (packs) read", count(report.packs_read))
        .fact(
            "pieces of data (chunks) found again",
            count(report.chunks_indexed),
        );
    let mut all: Vec<_> = report.damages.iter().map(damage).collect();
    all.extend(cleaned(&report.messages));
    if all.is_empty() {
        table.fact("mended", "nothing; the index was whole");
    }
    lines(&table, &all)
}

fn rebuild(report: &RebuildReport) -> String {
    let mut table = Table::facts();
    table
        .fact("backups", count(report.backups))
        .fact("connections", count(report.connections))
        .fact("runs", count(report.runs))
        .fact("restores", count(report.restores))
        .fact("jobs", count(report.jobs))
        .fact("users", count(report.users))
        .fact("API keys", count(report.api_keys));
    lines(&table, &cleaned(&report.messages))
}

fn verify(result: &Value) -> Option<String> {
    let number = |name: &str| result[name].as_u64();
    let mut table = Table::facts();
    table
        .fact(
            "level reached",
            result["reached"].as_str().unwrap_or("none"),
        )
        .fact("read", bytes(number("read_bytes")?))
        .fact("rows compared", count(number("rows")?));
    let lacks = result["lacks"].as_array().map_or(&[][..], Vec::as_slice);
    let lacks = lacks.iter().map(|loss| {
        let text = |name: &str| loss[name].as_str().unwrap_or_default();
        let text = format!("made without {}: {}", text("object"), text("reason"));
        clean(&text).into_owned()
    });
    Some(lines(&table, &lacks.collect::<Vec<_>>()))
}

fn restore(result: &Value) -> Option<String> {
    let mut table = Table::facts();
    table.fact("database", result["database"].as_str()?);
    let kept = result["kept_database"].as_str();
    table.maybe("old database kept as", kept.map(str::to_owned));
    let tables = result["tables"].as_array()?;
    let equal = |table: &&Value| table["equal"] == true;
    table.fact(
        "tables proved equal",
        format!(
            "{} of {}",
            count(tables.iter().filter(equal).count() as u64),
            count(tables.len() as u64)
        ),
    );
    let differing = tables.iter().filter(|table| !equal(table)).map(|table| {
        let text = |name: &str| table[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| count(table[name].as_u64().unwrap_or_default());
        format!(
            "{}: not equal, {} rows instead of {}",
            clean(&format!("{}.{}", text("schema"), text("table"))),
            number("found_rows"),
            number("rows")
        )
    });
    Some(lines(&table, &differing.collect::<Vec<_>>()))
}

fn drill(report: &DrillReport) -> String {
    let mut table = Table::facts();
    let (equal, compared) = (count(report.tables_equal), count(report.tables_compared));
    table
        .maybe("restored in", report.restore_ms.map(duration_ms))
        .fact("tables proved equal", format!("{equal} of {compared}"));
    let differing = report.differences.iter().map(|loss| {
        let text = format!("{}: {}", loss.object, loss.reason);
        clean(&text).into_owned()
    });
    lines(&table, &differing.collect::<Vec<_>>())
}

fn cleaned(messages: &[String]) -> Vec<String> {
    messages
        .iter()
        .map(|message| clean(message).into_owned())
        .collect()
}

fn lines(table: &Table, all: &[String]) -> String {
    let mut text = table.render(Paint::new(false));
    for line in all.iter().take(LINES_SHOWN) {
        text.push_str("\n  ");
        text.push_str(line);
    }
    let more = all.len().saturating_sub(LINES_SHOWN) as u64;
    if more > 0 {
        text.push_str(&format!("\n  … and {} more; --json has them", count(more)));
    }
    text
}

#[cfg(test)]
mod tests;
