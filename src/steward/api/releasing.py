"""The routes about releases and rollouts: what is live, who agreed, and which share each release has."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from steward.api.admission import Calling, Serving, reads
from steward.api.described import JsonSchema, array_of, body, reference, responses
from steward.api.reading import json_response
from steward.api.release_answers import (
    ApprovalIn,
    LiveNow,
    ProposalIn,
    ReleaseChange,
    ReleaseDraft,
    RolloutIn,
    ShareIn,
    SwitchIn,
    VariantIn,
)
from steward.api.rollout_answers import RolloutSeen
from steward.api.service import Service
from steward.errors import ContractError
from steward.loop.prepare import Prepared
from steward.releases.live import Live

router = APIRouter()
_PROBLEMS = [403, 404, 408, 409, 413, 415, 422, 431]
_LIVE = responses(reference("LiveNow"), "What is live then", _PROBLEMS)
At = Annotated[AwareDatetime | None, Query(description="What was live at that time; now by default.")]


def _takes(struct: type[object]) -> JsonSchema:
    return {"requestBody": body(reference(struct.__name__))}


def _told(service: Service, live: Live) -> Response:
    return json_response(LiveNow.of(live, service.runtime))


@router.get("/v1/releases", responses=responses(array_of("LiveNow"), "One for each decision", [422]))
async def list_releases(service: Serving, caller: Calling, at: At = None) -> Response:
    """Tell what is live, since when, by whom, who agreed; or what was live at a time."""
    readable, found = caller.readable(), []
    for name in service.runtime.decisions:
        if readable is None or name in readable:
            found.append(await _live(service, name, at))
    return json_response(found)


@router.get("/v1/releases/{name}", responses=responses(reference("LiveNow"), "What is or was live", [404, 422]))
async def show_releases(service: Serving, name: str, at: At = None) -> Response:
    """Tell what is live for a decision, or was at a time."""
    return json_response(await _live(service, name, at))


@router.get("/v1/releases/{name}/history", responses=responses(array_of("ReleaseChange"), "In order", [404]))
async def list_changes(service: Serving, name: str) -> Response:
    """Tell everything that happened to a decision's releases: who wanted what, who agreed, and which share it had."""
    return json_response([ReleaseChange.of(each) for each in await service.runtime.releases.history(name)])


@router.post(
    "/v1/releases/{name}/draft",
    responses=responses(reference("ReleaseDraft"), "The release as it would be", _PROBLEMS),
    openapi_extra=_takes(VariantIn),
)
async def draft_release(service: Serving, name: str, sent: Annotated[VariantIn, reads(VariantIn)]) -> Response:
    """Tell what a release would be called and made of, to be signed; nothing is written."""
    ready = await _variant(service, name, sent)
    return json_response(ReleaseDraft(release=ready.release, document=ready.made_of.document()))


@router.post("/v1/releases/{name}", responses=_LIVE, openapi_extra=_takes(ProposalIn))
async def propose_release(
    service: Serving, caller: Calling, name: str, sent: Annotated[ProposalIn, reads(ProposalIn)]
) -> Response:
    """Want a release to be published; another person must agree."""
    by, ready = caller.person(sent.by), await _variant(service, name, sent)
    return _told(
        service,
        await service.runtime.publishing.propose(ready, by=by, reason=sent.reason, envelope=sent.envelope),
    )


@router.post("/v1/releases/{name}/approve", responses=_LIVE, openapi_extra=_takes(ApprovalIn))
async def approve_release(
    service: Serving, caller: Calling, name: str, sent: Annotated[ApprovalIn, reads(ApprovalIn)]
) -> Response:
    """Agree to a release that somebody else proposed; it is published."""
    by = caller.person(sent.by)
    _check_name(name, sent.release)
    return _told(service, await service.runtime.publishing.approve(sent.release, by=by, reason=sent.reason))


@router.get("/v1/rollouts", responses=responses(array_of("LiveNow"), "One for each rollout that stands", [422]))
async def list_rollouts(service: Serving, caller: Calling) -> Response:
    """List the rollouts that stand."""
    readable, runtime = caller.readable(), service.runtime
    names = [name for name in runtime.decisions if readable is None or name in readable]
    lives = [runtime.releases.live(name) for name in names]
    return json_response([LiveNow.of(live, runtime) for live in lives if live.rollout is not None])


@router.get("/v1/rollouts/{name}", responses=responses(reference("RolloutSeen"), "What is seen of it", [404]))
async def show_rollout(service: Serving, name: str) -> Response:
    """Tell what is seen of a decision's rollout: its arms, its guardrails, and what its shadows would have chosen."""
    runtime = service.runtime
    await runtime.judging.catch_up()
    economics = runtime.decisions[name].economics
    unit = "" if economics is None else economics.unit
    return json_response(RolloutSeen.of(name, runtime.judging.of(name), unit))


@router.post("/v1/rollouts/{name}", responses=_LIVE, openapi_extra=_takes(RolloutIn))
async def start_rollout(
    service: Serving, caller: Calling, name: str, sent: Annotated[RolloutIn, reads(RolloutIn)]
) -> Response:
    """Begin a rollout of a release, or give it a part in the one that stands."""
    by, rollouts = caller.person(sent.by), service.runtime.rollouts
    if sent.release:
        _check_name(name, sent.release)
        ready = await service.runtime.lineups.load(service.runtime.releases.known(sent.release).document)
    else:
        ready = await _variant(service, name, sent)
    live = await rollouts.start(
        ready, by=by, reason=sent.reason, share=sent.share, is_shadow=sent.shadow, holdout=sent.holdout
    )
    return _told(service, live)


@router.post("/v1/rollouts/{name}/share", responses=_LIVE, openapi_extra=_takes(ShareIn))
async def share_rollout(
    service: Serving, caller: Calling, name: str, sent: Annotated[ShareIn, reads(ShareIn)]
) -> Response:
    """Give a challenger another share."""
    by, release = caller.person(sent.by), sent.release or None
    live = await service.runtime.rollouts.share(
        name, sent.share, by=by, reason=sent.reason, release=release, holdout=sent.holdout
    )
    return _told(service, live)


@router.post("/v1/rollouts/{name}/promote", responses=_LIVE, openapi_extra=_takes(SwitchIn))
async def promote_release(
    service: Serving, caller: Calling, name: str, sent: Annotated[SwitchIn, reads(SwitchIn)]
) -> Response:
    """Make the canary the champion, or any release that is published."""
    by, release = caller.person(sent.by), sent.release or None
    return _told(service, await service.runtime.rollouts.promote(name, by=by, reason=sent.reason, release=release))


@router.post("/v1/rollouts/{name}/stop", responses=_LIVE, openapi_extra=_takes(SwitchIn))
async def stop_rollout(
    service: Serving, caller: Calling, name: str, sent: Annotated[SwitchIn, reads(SwitchIn)]
) -> Response:
    """End the rollout that stands; the champion decides all."""
    by = caller.person(sent.by)
    return _told(service, await service.runtime.rollouts.stop(name, by=by, reason=sent.reason))


@router.post("/v1/rollouts/{name}/rollback", responses=_LIVE, openapi_extra=_takes(SwitchIn))
async def roll_back(
    service: Serving, caller: Calling, name: str, sent: Annotated[SwitchIn, reads(SwitchIn)]
) -> Response:
    """Go back to the release before, at once; no request is dropped."""
    by, to = caller.person(sent.by), sent.release or None
    return _told(service, await service.runtime.rollouts.rollback(name, by=by, reason=sent.reason, to=to))


async def _live(service: Service, name: str, at: AwareDatetime | None) -> LiveNow:
    releases = service.runtime.releases
    live = releases.live(name) if at is None else await releases.live_at(name, at)
    return LiveNow.of(live, service.runtime, is_now=at is None)


async def _variant(service: Service, name: str, sent: VariantIn) -> Prepared:
    return await service.runtime.lineups.vary(name, sent.models, challenger=sent.challenger or None)


def _check_name(name: str, release: str) -> None:
    if release.rpartition("@")[0] != name:
        raise ContractError(f"{release} is no release of {name}", fix="name one of its own", field="release")
