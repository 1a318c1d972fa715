//! `/drills`

use axum::extract::State;
use backstay_engine::model::{
    Drill, DrillCreate, DrillEdit, DrillList, DrillReport, DrillReportList, Page,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answers::{Accepted, Created, NoContent, Reply};
use super::{App, trigger};
use crate::extract::{Change, Empty, Json, Path, Query};
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, edit, remove))
        .routes(routes!(run))
        .routes(routes!(reports))
}

/// Lists restore drills.
#[utoipa::path(get, path = "/drills", params(DrillList))]
async fn list(State(app): State<App>, Query(list): Query<DrillList>) -> Answer<Reply<Page<Drill>>> {
    Ok(Reply(app.engine.drills(&list).await?))
}

/// Adds a restore drill.
#[utoipa::path(post, path = "/drills")]
async fn add(State(app): State<App>, Json(create): Json<DrillCreate>) -> Answer<Created<Drill>> {
    let drill = app.engine.add_drill(create).await?;
    let location = format!("/api/v1/drills/{}", drill.id);
    Ok(Created(drill, location))
}

/// Shows a restore drill.
#[utoipa::path(get, path = "/drills/{id}")]
async fn show(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<Drill>> {
    Ok(Reply(app.engine.drill(&key).await?))
}

/// Changes a restore drill; what is left out stays.
#[utoipa::path(method(patch, put), path = "/drills/{id}", request_body = DrillEdit)]
async fn edit(
    State(app): State<App>,
    Path(key): Path<String>,
    Change(edit): Change<DrillEdit>,
) -> Answer<Reply<Drill>> {
    Ok(Reply(app.engine.edit_drill(&key, edit).await?))
}

/// Removes a restore drill.
#[utoipa::path(delete, path = "/drills/{id}")]
async fn remove(State(app): State<App>, Path(key): Path<String>) -> Answer<NoContent> {
    app.engine.remove_drill(&key).await?;
    Ok(NoContent)
}

/// Runs a restore drill now.
#[utoipa::path(post, path = "/drills/{id}/run")]
async fn run(State(app): State<App>, Path(key): Path<String>, _: Empty) -> Answer<Accepted> {
    Ok(Accepted(app.engine.run_drill(&key, trigger()).await?))
}

/// Lists what a drill's runs found.
#[utoipa::path(get, path = "/drills/{id}/reports", params(DrillReportList))]
async fn reports(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(list): Query<DrillReportList>,
) -> Answer<Reply<Page<DrillReport>>> {
    Ok(Reply(app.engine.drill_reports(&key, &list).await?))
}
