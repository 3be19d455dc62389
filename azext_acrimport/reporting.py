# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a run comes to, as it is said on the way and printed in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from knack.log import get_logger

from azext_acrimport._errors import shown_as
from azext_acrimport._pipelines import NOTICE
from azext_acrimport.orders import Order
from azext_acrimport.outcome import Outcome, Status
from azext_acrimport.plan import Route
from azext_acrimport.planning import Unready
from azext_acrimport.run import Ended, known_digest

logger = get_logger(__name__)


def outcome_of(ended: Ended) -> Outcome:
    """How an order ended, as it is printed."""
    order = ended.order
    return Outcome(
        status=ended.status,
        registry=order.registry_name,
        login_server=order.target.host,
        source=order.source_name,
        images=order.images,
        taken=ended.taken,
        copied=ended.copied,
        digest=ended.digest or known_digest(order),
        referrers=_referrers_of(ended),
        seconds=ended.seconds,
        line=order.request.line,
        error=shown_as(ended.failure, order.around) if ended.failure else None,
    )


def _referrers_of(ended: Ended) -> int | None:
    if ended.order.request.referrers is None:
        return None
    return ended.copied.referrers if ended.copied else ended.referrers


def outcome_of_unready(unready: Unready) -> Outcome:
    """A request that came to no order, as it is printed."""
    request = unready.request
    return Outcome(
        status=Status.FAILED,
        registry=request.target.name,
        source=request.source,
        line=request.line,
        error=shown_as(unready.failure, unready.around),
    )


def say_routes(orders: Sequence[Order]) -> None:
    """Say who moves what and why, before anything moves: a line for each reason."""
    for (route, reason), count in Counter((each.plan.route, each.plan.reason) for each in orders).items():
        what = "" if len(orders) == 1 else f" {count} image{'s' if count > 1 else ''}"
        if route is Route.SERVICE:
            logger.warning("Importing%s by the service: %s.", what, reason, extra=NOTICE)
        else:
            logger.warning("Copying%s from here: %s.", what, reason, extra=NOTICE)


def say_started() -> None:
    """Say what is not known of one import that is not waited for."""
    logger.warning("The import has started. Without waiting for it, the command does not tell whether it fails.")


def say_end(ended: Ended) -> None:
    """Say of one of many why it failed, as soon as that is known."""
    if ended.failure:
        say_failure(outcome_of(ended))


def say_failure(outcome: Outcome) -> None:
    """Say of one of many why it failed."""
    where = f"Line {outcome.line}: " if outcome.line else ""
    if outcome.error:
        logger.error("%s%s", where, "\n".join([outcome.error.message, *outcome.error.advice]))


def say_sum(outcomes: Sequence[Outcome]) -> None:
    """Say how many of many ended how: the result may go into a file."""
    counts = Counter(each.status for each in outcomes)
    parts = [f"{counts[status]} {status.value}" for status in Status if counts[status]]
    text = f"{len(outcomes)} image{'' if len(outcomes) == 1 else 's'}: {', '.join(parts) or 'none is in this part'}."
    if counts[Status.STARTED]:
        text += " Of those that have started, the command does not tell whether they fail."
    logger.warning("%s", text, extra=NOTICE)


def count_routes(ended: Sequence[Ended]) -> None:
    """Tell the CLI's telemetry, where the user has it on, which routes were taken: no names, nothing else."""
    from azure.cli.core import telemetry

    for route in sorted({each.taken.route.value for each in ended if each.status is not Status.SKIPPED}):
        telemetry.add_extension_event("acrimport", {"Context.Default.AzureCLI.AcrxRoute": route})
