"""The job that reads for a proposal."""

import shutil
from datetime import datetime

from environments.git.calls import GitError
from environments.models.project_proposals import ProjectProposal
from environments.setup.discover import discover, new_mirror
from portal.jobs import Finished, JobStatus, Outcome
from portal.outbound.http import ApiError


def read(job: ProjectProposal, *, now: datetime) -> Outcome:
    """Read everything once; the progress is shown while it lasts."""
    rows = ProjectProposal.objects.filter(pk=job.pk, fence=job.fence)

    def tell(progress: str) -> None:
        rows.update(progress=progress)

    try:
        mirror = new_mirror(job.repository, f"setup-{job.pk}")
        try:
            discovered = discover(job.repository, job.railway_project_id, mirror, tell)
        finally:
            shutil.rmtree(mirror.path, ignore_errors=True)
    except (ApiError, GitError) as error:
        return Finished(JobStatus.FAILED, str(error))
    rows.update(found=discovered, progress="")
    return Finished(JobStatus.SUCCEEDED, "Read.")
