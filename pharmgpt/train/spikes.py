"""Loss spikes: a loss far above its running median is said at once, on the console and in metrics.jsonl.

It is a report, not a brake: a spike may be one odd batch. The median begins anew after a resume.
"""
from collections import deque
from statistics import fmean, median

from pharmgpt.run.metrics import Log

WINDOW, ENOUGH = 50, 10  # losses looked back on; losses before anything is called odd
TIMES_MEDIAN, TIMES_SPREAD = 1.5, 6.0  # both must be passed: on a smooth curve the first decides, on a noisy one the second


class SpikeWatch:
    """Looks at every step's loss."""

    def __init__(self, log: Log):
        self.log = log
        self.recent: deque[float] = deque(maxlen=WINDOW)

    def see(self, step: int, loss: float) -> None:
        if len(self.recent) >= ENOUGH:
            middle = median(self.recent)
            spread = fmean(abs(each - middle) for each in self.recent)
            if loss > max(TIMES_MEDIAN * middle, middle + TIMES_SPREAD * spread):
                self.log.write({"step": step, "spike": loss, "running_median": middle})
        self.recent.append(loss)
