"""What is attached to a live trainer: it observes the steps, decides and records.

session       one watched run: observes steps, decides, records its end
opening       assembles a session, on all ranks or on none
capture       signals of each optimizer step, taken from the trainer
wrapping      methods of one instance, wrapped for a while
readout       captured steps from the device, summed over the ranks
meter         samples, batch sizes and gradient noise over the steps of a run
norm_check    whether the recorded norm is that of the gradients
gradients     squared norms of the micro batches' gradients
batches       samples and trained tokens of a batch
tally         samples of a run's steps, averaged
accumulation  the mean over all trained tokens of an accumulated step
pace          seconds of an optimizer step
ranks         collectives of several ranks
faults        errors of this package, kept away from the training
resume        the trace that a resumed run continues
identity      what makes two runs comparable, read from a trainer
scoring       held-out questions
recorder      writes the run to its trace and its history
notices       what is printed for a person
"""
