"""A model that a member's job came to, jointly or in the room."""

from __future__ import annotations

from dataclasses import dataclass

from saferoom_client.fits.kept import find_fit
from saferoom_client.jobs import require_report
from saferoom_client.profile import Profile
from saferoom_client.tongue import later
from saferoom_client.training.folder import find_job
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model of this member's: the digests of it, of its template and of its job."""

    model: str
    template: str
    job: str


def trained_model(profile: Profile, job: str) -> TrainedModel:
    """Find the model that a job came to.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` if there is none.
    """
    fit = find_fit(profile, job)
    if fit is None:
        folder = find_job(profile, job)
        return TrainedModel(require_report(folder).model, folder.request.template, folder.job)
    verified = fit.verified()
    model = None if verified is None else verified.release.model
    if model is None:
        rule = later("this job has no model: saferoom job list")
        raise SafeRoomError(Reason.UNKNOWN_STATEMENT, rule, [FieldFault("job", rule)])
    return TrainedModel(model, fit.request.template, fit.job)
