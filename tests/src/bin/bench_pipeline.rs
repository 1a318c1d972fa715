//! The repository's pipeline alone: first backup, unchanged backup, restore into files and check of the
//! same bytes.
//!
//! `bench_pipeline FILE|SIZE_MB [--workers N] [--no-verify] [--keep DIR] [--memory]` prints one line
//! per step: bytes, wall seconds, MB/s, CPU seconds of the process, MB/s per CPU second.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use backstay_engine::Result;
use backstay_engine::clock::{SharedClock, SystemClock};
use backstay_engine::ids::BackupId;
use backstay_engine::monitor::Task;
use backstay_engine::repository::{
    CheckOptions, Content, NewSlots, OpenOptions, Repository, SnapshotDraft, StreamRef, TreeWriter,
};
use backstay_engine::storage::Storage;
use backstay_engine::storage::local::LocalStorage;
use backstay_engine::storage::memory::MemoryStorage;
use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;

struct Arguments {
    source: String,
    workers: usize,
    streams: usize,
    verify: bool,
    memory: bool,
    keep: Option<PathBuf>,
}

fn arguments() -> Arguments {
    let mut given = std::env::args().skip(1);
    let mut arguments = Arguments {
        source: "512".to_owned(),
        workers: std::thread::available_parallelism().map_or(1, usize::from),
        streams: 2,
        verify: true,
        memory: false,
        keep: None,
    };
    while let Some(argument) = given.next() {
        let mut number = || given.next().and_then(|text| text.parse().ok()).unwrap_or(1);
        match argument.as_str() {
            "--workers" => arguments.workers = number(),
            "--streams" => arguments.streams = number(),
            "--no-verify" => arguments.verify = false,
            "--memory" => arguments.memory = true,
            "--keep" => arguments.keep = given.next().map(PathBuf::from),
            _ => arguments.source = argument,
        }
    }
    arguments
}

/// Rows of a made-up table: numbers, words, a little JSON.
fn rows(megabytes: usize) -> Bytes {
    const WORDS: [&str; 12] = [
        "invoice",
        "shipped",
        "pending",
        "Lisbon",
        "Nairobi",
        "blue",
        "large",
        "returned",
        "gift",
        "priority",
        "customer",
        "warehouse",
    ];
    let mut text = Vec::with_capacity((megabytes << 20) + 512);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut number = 0_u64;
    while text.len() < megabytes << 20 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let word = |shift: u32| WORDS[((state >> shift) % 12) as usize];
        number += 1;
        let line = format!(
            "{number}\t{}\t{} {} {}\t2024-{:02}-{:02} 10:{:02}:{:02}\t{{\"sku\": \"{:08x}\", \"tag\": \"{}\", \"qty\": {}}}\n",
            state >> 44,
            word(8),
            word(16),
            word(24),
            1 + (state >> 32) % 12,
            1 + (state >> 36) % 28,
            (state >> 40) % 60,
            (state >> 46) % 60,
            state >> 32,
            word(48),
            (state >> 52) % 50,
        );
        text.extend_from_slice(line.as_bytes());
    }
    text.into()
}

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn peak_memory_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1000
}

async fn timed<T>(name: &str, bytes: usize, work: impl Future<Output = Result<T>>) -> Result<T> {
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    let answer = work.await?;
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let megabytes = bytes as f64 / 1e6;
    println!(
        "{name:<18} {megabytes:8.0} MB {wall:7.2} s {:7.0} MB/s   cpu {cpu:6.2} s {:7.0} MB/s/core",
        megabytes / wall,
        megabytes / cpu,
    );
    Ok(answer)
}

async fn backup(repository: &Repository, parts: &[Bytes]) -> Result<Vec<StreamRef>> {
    let writer = repository.begin("bench").await?;
    let mut tasks = Vec::new();
    for part in parts {
        let (writer, mut rest) = (writer.clone(), part.clone());
        tasks.push(tokio::spawn(async move {
            let mut stream = writer.stream(Content::TableData);
            while !rest.is_empty() {
                stream.write(rest.split_to(rest.len().min(1 << 20))).await?;
            }
            stream.finish().await
        }));
    }
    let mut streams = Vec::new();
    for task in tasks {
        streams.push(task.await.map_err(|lost| {
            backstay_engine::Error::internal("A stream broke down").because(lost)
        })??);
    }
    let tree = TreeWriter::new(&writer).finish().await?;
    let draft = SnapshotDraft {
        id: BackupId::generate(chrono::Utc::now()),
        tree,
        base: None,
        facts: serde_json::Value::Null,
    };
    let snapshot = writer.commit(draft).await?;
    let tally = snapshot.tally;
    println!(
        "    read {} new {} stored {} chunks {} new chunks {}",
        tally.read_bytes, tally.new_bytes, tally.stored_bytes, tally.chunks, tally.new_chunks
    );
    Ok(streams)
}

/// Writes each stream to a file of its own, as whoever restores would.
async fn restore(repository: &Repository, streams: &[StreamRef], folder: &Path) -> Result<()> {
    let tasks: Vec<_> = streams
        .iter()
        .enumerate()
        .map(|(number, stream)| {
            let mut reader = repository.read(stream);
            let path = folder.join(format!("restored-{number}"));
            tokio::spawn(async move {
                let mut length = 0;
                let mut file = tokio::fs::File::create(path).await.map_err(unwritable)?;
                while let Some(block) = reader.next().await? {
                    length += block.len() as u64;
                    file.write_all(&block).await.map_err(unwritable)?;
                }
                file.flush().await.map_err(unwritable)?;
                Ok::<_, backstay_engine::Error>(length)
            })
        })
        .collect();
    for (task, stream) in tasks.into_iter().zip(streams) {
        let length = task.await.map_err(|lost| {
            backstay_engine::Error::internal("A stream broke down").because(lost)
        })??;
        if length != stream.length_bytes {
            return Err(backstay_engine::Error::internal(
                "A stream came back with another length",
            ));
        }
    }
    Ok(())
}

fn unwritable(error: std::io::Error) -> backstay_engine::Error {
    backstay_engine::Error::internal("A restored file cannot be written").because(error)
}

async fn check(repository: &Repository) -> Result<()> {
    let task = Task::unwatched(Arc::new(SystemClock));
    let options = CheckOptions {
        read_percent: 100.0,
    };
    let report = repository.check(&options, &task).await?;
    if report.problem_count > 0 {
        return Err(backstay_engine::Error::internal(
            "The repository is not whole",
        ));
    }
    Ok(())
}

async fn run(arguments: Arguments) -> Result<()> {
    let data: Bytes = match arguments.source.parse::<usize>() {
        Ok(megabytes) => rows(megabytes),
        Err(_) => std::fs::read(&arguments.source)
            .map_err(|error| {
                backstay_engine::Error::invalid("The file cannot be read").because(error)
            })?
            .into(),
    };
    let folder = tempfile::tempdir()
        .map_err(|error| backstay_engine::Error::internal("No temporary folder").because(error))?;
    let place = arguments
        .keep
        .clone()
        .unwrap_or_else(|| folder.path().join("repository"));
    let clock: SharedClock = Arc::new(SystemClock);
    let storage: Arc<dyn Storage> = if arguments.memory {
        Arc::new(MemoryStorage::new("bench", Arc::clone(&clock)))
    } else {
        Arc::new(LocalStorage::open(place).await?)
    };
    let options = OpenOptions {
        cache_dir: folder.path().join("cache"),
        clock,
        cpu_workers: arguments.workers,
        verify_writes: arguments.verify,
    };
    let slots = NewSlots {
        key_file: true,
        ..NewSlots::default()
    };
    let repository = Repository::create(storage, &slots, options)
        .await?
        .repository;
    let part = data.len().div_ceil(arguments.streams.max(1)).max(1);
    let parts: Vec<Bytes> = (0..data.len())
        .step_by(part)
        .map(|start| data.slice(start..data.len().min(start + part)))
        .collect();
    let base = peak_memory_megabytes();
    let size = data.len();
    let streams = timed("first backup", size, backup(&repository, &parts)).await?;
    timed("unchanged backup", size, backup(&repository, &parts)).await?;
    timed(
        "restore",
        size,
        restore(&repository, &streams, folder.path()),
    )
    .await?;
    timed("check", size, check(&repository)).await?;
    println!(
        "peak memory beside the data: {} MB",
        peak_memory_megabytes() - base
    );
    Ok(())
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match run(arguments()).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {}", error.report());
            std::process::ExitCode::FAILURE
        }
    }
}
