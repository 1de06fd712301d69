"""The server: wiring in one place."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI

from contract.clock import Clock, SystemClock
from server.analysis import Analysis
from server.api.alerts import router as alerts_router
from server.api.books import router as books_router
from server.api.fleet import config_router
from server.api.fleet import router as fleet_router
from server.api.jobs import router as jobs_router
from server.api.read import router as read_router
from server.api.report import router as report_router
from server.api.write import write_router
from server.config import ServerConfig
from server.factbook.load import load_factbook
from server.jobs.annotating import Annotator
from server.jobs.periods import review_periods
from server.jobs.schedule import Schedule
from server.jobs.touched import apply_site, keep_zone
from server.jobs.works import Works
from server.notify.file import load_notify
from server.rules.load import load_rules
from server.site.file import load_site
from server.state import open_state
from server.store.open import open_store
from server.web.pages import mount_console

log = structlog.get_logger()


def open_works(config: ServerConfig) -> Works:
    """Open what the jobs need; ConfigError when a file is wrong, before anything is opened."""
    site = load_site(config.site_file)
    factbook = load_factbook(config.factbook_folder)
    rules = load_rules()
    state = open_state(config.state_url)
    keep_zone(state, site, config.site_file.name)
    return Works(open_store(config.store_url, config.store_token), state, site, factbook, rules)


def create_app(config: ServerConfig, works: Works, clock: Clock | None = None) -> FastAPI:
    """Give the application; jobs run while it is up."""
    clock = clock or SystemClock()
    plan = load_notify(config.notify_file)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        changed = apply_site(works.state, works.site, works.store.first_ms(works.site.id) or 0)
        if changed:
            log.info("site_changed", changes=len(changed), first=changed[0])
        await asyncio.to_thread(review_periods, works, clock.now_ms(), None)
        schedule = Schedule(
            works, clock, keep_raw_months=config.keep_raw_months, roll_up_s=config.roll_up_s,
            plan=plan, annotator=Annotator(*config.grafana) if config.grafana else None,
        )  # fmt: skip
        scheduler = schedule.start()
        log.info("server_started", site=works.site.id, pid=os.getpid())
        yield
        scheduler.shutdown(wait=False)
        works.store.close()
        works.state.close()
        log.info("server_stopped", site=works.site.id)

    app = FastAPI(
        title="大院能源 compound energy",
        summary="读数接入、指标、告警与报告 / readings in; metrics, alerts and the report out",
        version="0.1.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.analysis = Analysis(works, clock)
    app.state.write_tokens = config.write_tokens
    app.state.agent_tokens = config.agent_tokens
    app.include_router(write_router(works.store, config.write_tokens, config.max_body_bytes))
    app.include_router(read_router)
    app.include_router(report_router)
    app.include_router(alerts_router)
    app.include_router(jobs_router)
    app.include_router(books_router)
    app.include_router(fleet_router)
    app.include_router(config_router)

    @app.get("/health", tags=["health 状态"], summary="存活检查 / liveness")
    def health() -> dict[str, str]:
        """Say that the server is up, as InfluxDB does."""
        return {"name": "compound-server", "status": "pass"}

    mount_console(app, config.console_token)
    return app
