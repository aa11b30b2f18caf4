"""What is attached to a live trainer: it observes the steps, records and decides.

watch         one watched run
capture       signals of each optimizer step, taken from the trainer
gradients     squared norms of the micro batches' gradients
batches       samples and trained tokens of a batch
tally         samples of a run's steps, averaged
accumulation  the mean over all trained tokens of an accumulated step
pace          seconds of an optimizer step
ranks         what several ranks decide together
identity      what makes two runs comparable, read from a trainer
scoring       held-out questions
recorder      writes the run to its trace and its history
"""
