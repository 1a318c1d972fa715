//! `connection …`

mod databases;
mod show;

use backstay_engine::model::{
    self, Connection, ConnectionCreate, ConnectionTest as Tested, SshCreate,
};
use backstay_engine::secret::SecretText;
use backstay_engine::{Code, Error, Result};
use serde_json::json;

use super::args::{
    self, ConnectionAdd, ConnectionCommand, ConnectionEdit, ConnectionTest, SshArgs,
};
use super::confirm;
use super::failure::{Done, Failure};
use super::output::{Table, clean};
use super::secrets;
use super::session::Session;
use crate::client::{Client, path};

/// Does what `connection …` says.
pub(crate) async fn connection(session: &Session, command: ConnectionCommand) -> Done {
    match command {
        ConnectionCommand::Add(args) => add(session, args).await,
        ConnectionCommand::List(args) => show::list(session, args).await,
        ConnectionCommand::Show(name) => show::show(session, &name.name).await,
        ConnectionCommand::Edit(args) => edit(session, args).await,
        ConnectionCommand::Test(args) => test(session, args).await,
        ConnectionCommand::Discover(name) => databases::discover(session, &name.name).await,
        ConnectionCommand::Databases(args) => databases::databases(session, args).await,
        ConnectionCommand::ReadonlyUser(args) => readonly_user(session, args).await,
        ConnectionCommand::Remove(name) => remove(session, &name.name).await,
    }
}

async fn add(session: &Session, args: ConnectionAdd) -> Done {
    let mut create = ConnectionCreate {
        name: args.name,
        url: args.url,
        password: password(args.password_file.as_deref())?,
        ssh: tunnel(&args.ssh)?,
        project: None,
        environment: None,
        include_new_databases: args.no_new_databases.then_some(false),
        test: args.no_test.then_some(false),
    };
    (create.project, create.environment) = project(args.environment.as_deref());
    let client = session.engine().await?;
    let connection: Connection = with_password(client, &path(&["connections"]), create).await?;
    session.output.record(&connection, |_, connection| {
        let version = connection
            .server_version
            .as_ref()
            .map_or_else(String::new, |version| format!(" ({version})"));
        format!("Added {}: {}{version}", connection.name, connection.url)
    })?;
    if !session.output.json {
        session.output.note(&format!(
            "Back it up with `backstay backup run {}`",
            confirm::shell_word(&connection.name)
        ));
    }
    Ok(())
}

/// Sends the request; when the server wants a password that was not given, asks for it and sends it again.
async fn with_password<T: serde::de::DeserializeOwned>(
    client: &Client,
    path: &str,
    mut create: ConnectionCreate,
) -> Result<T> {
    let first: Result<T> = client.post(path, &create).await;
    match first {
        Err(error) if error.code() == Code::ConnectionAuth && !gives_password(&create) => {
            let question = format!("Password for {}: ", clean(&create.url));
            match secrets::ask(&question)? {
                Some(password) => create.password = Some(password),
                None => {
                    return Err(error
                        .hint("Give the password with --password-file FILE or BACKSTAY_PASSWORD"));
                }
            }
            client.post(path, &create).await
        }
        answer => answer,
    }
}

fn gives_password(create: &ConnectionCreate) -> bool {
    create.password.is_some()
        || url::Url::parse(&create.url).is_ok_and(|url| url.password().is_some())
}

fn password(file: Option<&std::path::Path>) -> Result<Option<SecretText>> {
    if let Some(file) = file {
        return secrets::first_line(file, "password").map(Some);
    }
    Ok(std::env::var("BACKSTAY_PASSWORD")
        .ok()
        .filter(|password| !password.is_empty())
        .map(SecretText::new))
}

pub(super) fn project(environment: Option<&str>) -> (Option<String>, Option<String>) {
    match environment.map(|text| text.split_once('/').unwrap_or((text, ""))) {
        None => (None, None),
        Some((project, "")) => (Some(project.to_owned()), None),
        Some((project, environment)) => (Some(project.to_owned()), Some(environment.to_owned())),
    }
}

fn tunnel(args: &SshArgs) -> Result<Option<SshCreate>> {
    let Some(ssh) = &args.ssh else {
        return Ok(None);
    };
    let (user, host) = ssh.split_once('@').unwrap_or(("", ssh));
    let (host, port) = host
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, Some(port.parse::<u16>().ok()?))))
        .unwrap_or((host, None));
    let private_key = args
        .ssh_key
        .as_deref()
        .map(|file| secrets::whole(file, "private key"))
        .transpose()?;
    let password = match &private_key {
        Some(_) => None,
        None => secrets::ask(&format!("Password of {ssh}: "))?,
    };
    Ok(Some(SshCreate {
        host: host.trim_matches(['[', ']']).to_owned(),
        port,
        user: user.to_owned(),
        private_key,
        passphrase: None,
        password,
        host_key: None,
    }))
}

async fn edit(session: &Session, args: ConnectionEdit) -> Done {
    let (project, environment) = project(args.environment.as_deref());
    let edit = model::ConnectionEdit {
        name: args.new_name,
        url: args.url,
        password: args
            .password_file
            .as_deref()
            .map(|file| secrets::first_line(file, "password"))
            .transpose()?,
        ssh: tunnel(&args.ssh)?,
        remove_ssh: args.no_ssh.then_some(true),
        project,
        environment,
        include_new_databases: args.new_databases,
        test: args.no_test.then_some(false),
    };
    let client = session.engine().await?;
    let target = path(&["connections", &args.connection.name]);
    let connection: Connection = client.patch(&target, &edit).await?;
    session.output.record(&connection, show::view)
}

async fn test(session: &Session, args: ConnectionTest) -> Done {
    let client = session.engine().await?;
    let tested: Tested = if args.target.contains("://") {
        let create = ConnectionCreate {
            name: "untitled".to_owned(),
            url: args.target,
            password: password(args.password_file.as_deref())?,
            ssh: tunnel(&args.ssh)?,
            project: None,
            environment: None,
            include_new_databases: None,
            test: None,
        };
        test_url(client, create).await?
    } else {
        if args.password_file.is_some() || args.ssh.ssh.is_some() {
            return Err(Error::invalid(
                "A saved connection is tested as it is saved; --password-file and --ssh are for a URL",
            )
            .hint("Change it with `backstay connection edit`")
            .into());
        }
        let target = path(&["connections", &args.target, "test"]);
        client.post(&target, &json!({})).await?
    };
    session.output.record(&tested, show::tested_view)?;
    if tested.ok {
        return Ok(());
    }
    let code = tested.code.as_deref().and_then(Code::from_name);
    Err(Failure::Exit(code.map_or(1, Code::exit)))
}

async fn test_url(client: &Client, mut create: ConnectionCreate) -> Result<Tested> {
    let target = path(&["connections", "test"]);
    let tested: Tested = client.post(&target, &create).await?;
    let refused = tested.code.as_deref() == Some(Code::ConnectionAuth.name());
    if !refused || gives_password(&create) {
        return Ok(tested);
    }
    match secrets::ask(&format!("Password for {}: ", clean(&create.url)))? {
        Some(password) => create.password = Some(password),
        None => return Ok(tested),
    }
    client.post(&target, &create).await
}

async fn readonly_user(session: &Session, args: args::ReadonlyUser) -> Done {
    let name = &args.connection.name;
    confirm::agree(
        &session.global,
        &format!("Create the role {} on the server of {name}?", args.user),
    )?;
    let create = model::ReadonlyUserCreate {
        name: Some(args.user),
        switch: Some(!args.no_switch),
    };
    let client = session.engine().await?;
    let target = path(&["connections", name, "readonly-user"]);
    let user: model::ReadonlyUser = client.post(&target, &create).await?;
    session.output.record(&user, |paint, user| {
        let mut table = Table::facts();
        table
            .fact("role", user.name.clone())
            .fact("password", user.password.clone())
            .fact(
                "connection",
                if user.switched {
                    "uses it now"
                } else {
                    "unchanged"
                },
            );
        let lines = |lines: &[String]| -> String {
            let lines = lines.iter().map(|line| format!("\n  {}", clean(line)));
            lines.collect()
        };
        let mut text = format!("{}\n{}", table.render(paint), lines(&user.statements));
        if !user.limits.is_empty() {
            text.push_str("\n\nIt may not read:");
            text.push_str(&lines(&user.limits));
        }
        text
    })
}

async fn remove(session: &Session, name: &str) -> Done {
    let client = session.engine().await?;
    let connection: Connection = client.get(&path(&["connections", name])).await?;
    confirm::typed(
        &session.global,
        &format!(
            "This forgets the connection {} and its credentials; its backups stay",
            connection.name
        ),
        &connection.name,
    )?;
    let id = connection.id.to_string();
    let () = client.delete(&path(&["connections", &id])).await?;
    if session.output.json {
        return session.output.document(&connection);
    }
    session.output.text(&format!("Removed {}", connection.name))
}
