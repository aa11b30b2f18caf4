"""The monitor of a live trainer: observes steps, applies rules, records the run.

session         one watched run: observes steps, decides, records its end
opening         assembles a session, on all ranks or on none
parts           the parts of a session
capture         signals of each optimizer step, taken from the trainer
wrapping        wraps methods of one instance, and unwraps them
readout         captured steps from the device, summed over the ranks
meter           samples, batch sizes and gradient noise over the steps of a run
norm_check      whether the recorded norm is the norm of the gradients
gradients       squared norms of the micro batches' gradients
batches         samples and trained tokens of a batch
tally           samples of a run's steps, averaged
source_opening  opens the measurement of the loss by source
source_record   its logs, its events, its end
source_meter    measures steps of training and of evaluation
source_sums     sums the losses of each source on the device
source_table    recognises the source of each token of a batch
token_losses    the loss of each token of a forward pass
evaluations     the rule on the host's evaluations, and the best checkpoint
evaluation_opening   opens it
evaluation_schedule  when a run is evaluated and saved, and what to say of it
evaluation_notices   its messages for the user
accumulation    the mean over all trained tokens of an accumulated step
pace            seconds of an optimizer step
ranks           collectives of several ranks
faults          errors of this package, caught so that training continues
resume          the trace that a resumed run continues
identity        what makes two runs comparable, read from a trainer
scoring         held-out questions
recorder        writes the run to its trace and its history
notices         messages for the user
"""
