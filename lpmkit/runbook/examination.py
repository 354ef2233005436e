"""Survey, check, validate, predict: what is known before a move. Changes nothing on any machine."""

from __future__ import annotations

from dataclasses import asdict

from lpmkit.checks import Finding, Verdict, examine
from lpmkit.checks.limits import KEY as PREDICTED
from lpmkit.checks.limits import applicable_quantities, limit_findings
from lpmkit.control.messages import names_errors
from lpmkit.prediction.history import StoredPrediction, history, inputs_of
from lpmkit.prediction.moves import Prediction
from lpmkit.prediction.no_forecast import NoForecast, forecast_or_why
from lpmkit.prediction.predicting import predict
from lpmkit.runbook.folders import Folders
from lpmkit.runbook.values import Validation, as_row, findings_of, validation_of
from lpmkit.runs.folder import Run, write_document, write_file
from lpmkit.runs.writer import RunWriter
from lpmkit.survey.connect import control_of, survey_both_ends
from lpmkit.survey.model import Survey


class Examination(Folders):
    """The steps before a move. Of a run that moves or has moved they return what was stored before."""

    def survey(self, run: Run) -> Survey:
        """Gather every fact from both ends and keep it in the folder."""
        with RunWriter(run.path, self.clock) as writer:
            found = survey_both_ends(self.site, self.own_order(run), self.secrets, writer.reply)
            writer.document("survey", found.to_dict())
        self._keep_profiles(run, found)
        return found

    def _keep_profiles(self, run: Run, found: Survey) -> None:
        """The partition's profiles word for word, in a file of their own: a move replaces or renames them (D,
        recalled).
        """
        mine = [profile.record for profile in found.source.profiles or () if profile.partition == found.partition]
        if mine and not run.events():
            write_file(run.path / "profiles.txt", "".join(f"{record}\n" for record in mine).encode())

    def check(self, run: Run) -> tuple[Finding, ...]:
        """Survey, judge every rule, and keep the findings in the folder.

        Of a run that moves or has moved: the findings from before.
        """
        before = run.read("findings", findings_of) if run.events() else None
        if before is not None:
            return before
        found = self.survey(run)
        expected = self.predict(run)
        found = found.expecting(expected.suspended_s.p90 if isinstance(expected, Prediction) else expected)
        order = self.own_order(run)
        starts_ns = self.clock.wall_ns() + int(self.site.runs.lead_in_s * 1e9)
        limits, applicable = self.limits_of(order), applicable_quantities(found)
        findings = (*examine(found), *limit_findings(limits, order.partition, expected, starts_ns, applicable))
        write_document(run.path, "findings", [as_row(finding) for finding in findings])
        return findings

    def causes(self, run: Run) -> tuple[Finding, ...]:
        """The findings of lpmkit itself against an order that the firmware refused: the failing checks, or, without
        any, those that could not tell. Reads only; surveys where that was not done yet.
        """
        findings = run.read("findings", findings_of) or self.check(run)
        telling = [one for one in findings if not one.only_firmware and not one.key.startswith(PREDICTED)]
        failed = tuple(one for one in telling if one.verdict is Verdict.FAIL)
        return failed or tuple(one for one in telling if one.verdict is Verdict.UNKNOWN)

    def validate(self, run: Run, *, disks: bool = False) -> Validation:
        """Ask the manager to validate (``migrlpar -o v``) and keep its answer in the folder.

        Of a run that moves or has moved: the answer from before.

        ``disks``: have the VIOS try every disk of virtual Fibre Channel. Raises `UsageError` where the manager
        cannot.
        """
        order = self.own_order(run)
        before = self.validation_before(run)
        if before is not None:
            return before
        with RunWriter(run.path, self.clock) as writer:
            control = control_of(self.site, order.source, secrets=self.secrets, transcript=writer.reply)
            try:
                reply = control.validate(order, disks=disks)
            finally:
                control.close()
            is_passed = reply.status == 0 and not names_errors(reply.text)
            found = Validation(order, is_passed, reply.status, reply.text, self.clock.wall_ns(), disks)
            writer.document("validation", {**asdict(found)})
        return found

    def validation_before(self, run: Run) -> Validation | None:
        """The validation of a run that moves or has moved, which is not repeated; ``None`` of a run that can be
        validated now.
        """
        return run.read("validation", validation_of) if run.events() else None

    def predict(self, run: Run) -> Prediction | NoForecast:
        """Predict the move from the survey and past runs, and store the prediction in the folder; the reason where
        there is none.

        Of a run that moves or has moved: the prediction made before.
        """
        before = run.read("prediction", StoredPrediction.from_dict) if run.events() else None
        if before is not None:
            return before.before
        made = forecast_or_why(lambda: _predicted(run))
        if isinstance(made, NoForecast):
            return made
        write_document(run.path, "prediction", made.to_dict())
        return made.before


def _predicted(run: Run) -> StoredPrediction | NoForecast:
    inputs = inputs_of(run)
    if inputs is None:
        return NoForecast("no survey tells the partition's memory")
    return StoredPrediction(inputs, predict(inputs, history(run.path.parent)))
