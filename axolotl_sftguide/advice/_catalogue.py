"""All kinds of findings by id: what each is about, its cost, and where it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from ._refusals_data import REFUSALS as _OF_DATA
from ._refusals_model import REFUSALS as _OF_MODEL
from ._refusals_plugins import REFUSALS as _OF_PLUGINS
from ._refusals_preference import REFUSALS as _OF_PREFERENCE
from ._refusals_rest import REFUSALS as _OF_REST
from ._refusals_run import REFUSALS as _OF_RUN

REFUSALS = (
    *_OF_DATA,
    *_OF_RUN,
    *_OF_MODEL,
    *_OF_REST,
    *_OF_PREFERENCE,
    *_OF_PLUGINS,
)


class Cost(IntEnum):
    """What it costs to run a config with a finding; the highest cost sorts first."""

    RUN = 0
    """The run ends without an error, but does not train what the config says."""
    LATE = 1
    """The run ends in an error after the data or the model are loaded."""
    START = 2
    """Axolotl refuses the config at once."""
    PART = 3
    """Part of the run differs: a schedule, a checkpoint, an evaluation."""
    LITTLE = 4
    """Little or nothing."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of finding."""

    about: str
    """One or two sentences for `sftguide explain`."""
    cost: Cost
    host: str = ""
    """Module and function of Axolotl or of a library that it uses."""
    general: bool = False
    """Whether it holds for nearly every config, and is listed in the closing line."""
    own: bool = False
    """Whether it is about this package's own block or comments."""


_RUN, _LATE, _START, _PART, _LITTLE = Cost
_BASE, _CAUSAL = "core/builders/base.py", "core/builders/causal.py"
_SCHEMA = "utils/schemas/config.py: AxolotlInputConfig"

RULES: dict[str, Rule] = {
    "unknown-key": Rule(
        "Axolotl's schema does not have this key. Unless `strict` checks are on, it "
        "drops such keys when it loads the config, and the run starts without them.",
        _RUN,
        _SCHEMA,
    ),
    "unknown-nested-key": Rule(
        "The schema of this block does not have this key. Axolotl drops it when it "
        "loads the config, also where the rest of the block is right.",
        _RUN,
        "utils/config/__init__.py: validate_config",
    ),
    "key-of-other-training": Rule(
        "Axolotl reads the entries of `datasets` by the kind of training. This key is "
        "one of another kind, and is dropped while the config is loaded.",
        _RUN,
        "utils/config/__init__.py: validate_config",
    ),
    "plugin-not-listed": Rule(
        "The key is defined by a plugin that comes with Axolotl. Without the plugin in "
        "`plugins`, Axolotl does not know the key and drops it.",
        _RUN,
        "integrations/config.py: merge_input_args",
    ),
    "plugin-unknown": Rule(
        "Axolotl imports each entry of `plugins`. If there is no such module, it logs "
        "an error and goes on: the keys of the plugin are dropped.",
        _RUN,
        "integrations/base.py: PluginManager.register",
    ),
    "plugin-class": Rule(
        "An entry of `plugins` is a module and a class in it. If the module has no "
        "such class, or the entry has no dot, the run ends.",
        _START,
        "integrations/base.py: load_plugin",
    ),
    "foreign-plugin-key": Rule(
        "Plugins may add keys. This key is none of Axolotl's, and a plugin is listed "
        "whose keys are not known here.",
        _LITTLE,
        "integrations/config.py: merge_input_args",
    ),
    "renamed-key": Rule(
        "This is the name of a setting in another tool or in an older Axolotl. Axolotl "
        "drops it silently.",
        _RUN,
        _SCHEMA,
    ),
    "bad-value": Rule(
        "The value has another type, or is outside the range, that Axolotl's schema "
        "allows.",
        _START,
        _SCHEMA,
    ),
    "required-key": Rule("Axolotl's schema requires this key.", _START, _SCHEMA),
    "host-refuses": Rule(
        "Axolotl's own validation, which `--host` runs, refuses the config.",
        _START,
        "utils/config/__init__.py: validate_config",
    ),
    "removed-key": Rule(
        "Axolotl has removed this setting and refuses configs that still use it.",
        _START,
        "utils/schemas/deprecated.py: DeprecatedParameters",
    ),
    "sharegpt": Rule(
        "Axolotl has removed `type: sharegpt`. Lists of turns with `from` and `value` "
        "are read by `type: chat_template` with a mapping of the two fields.",
        _START,
        "utils/schemas/validation.py: deprecate_sharegpt_datasets",
    ),
    "value-not-in-set": Rule(
        "The schema allows any text here, but the library that reads it allows only "
        "some values and ends the run when the trainer is made.",
        _LATE,
        f"{_BASE}: _configure_scheduler",
    ),
    "dataset-type": Rule(
        "The `type` of a dataset names a module of Axolotl that turns rows into "
        "tokens. Without a module of that name the preparation ends in an error.",
        _LATE,
        "utils/data/wrappers.py: handle_unknown_dataset_strategy",
    ),
    "number-out-of-range": Rule(
        "The schema allows any number here, but the run cannot use this one.",
        _LATE,
        "utils/config/__init__.py: normalize_config",
    ),
    "key-twice": Rule(
        "YAML readers silently take the last of two equal keys of a mapping.",
        _RUN,
        "PyYAML, SafeLoader.construct_mapping",
    ),
    "key-without-effect": Rule(
        "The key is read only together with another one, which is not set.",
        _PART,
        f"{_BASE}: TrainerBuilderBase",
    ),
    "schedule-arguments": Rule(
        "transformers passes `lr_scheduler_kwargs` to the function that makes the "
        "schedule, which ends the run if it does not know a name or lacks a value.",
        _LATE,
        f"{_BASE}: _configure_scheduler",
    ),
    "four-bits-ignored": Rule(
        "Axolotl makes 4-bit weights for `adapter: qlora` alone, and 8-bit weights for "
        "`adapter: lora`. With `adapter: lora` and `load_in_4bit` it loads them in 16 "
        "bits, unless the base model is stored quantised. It then prepares the model "
        "as a quantised one, which turns 16-bit linear layers into 32 bits.",
        _RUN,
        "loaders/model.py: _set_quantization_config",
    ),
    "adapter-frozen": Rule(
        "After the adapter is made, Axolotl freezes each weight that no pattern of "
        "`unfrozen_parameters` matches, the adapter's included.",
        _LATE,
        "utils/freeze.py: freeze_layers_except",
    ),
    "unfrozen-none": Rule(
        "Axolotl matches the patterns of `unfrozen_parameters` from the start of a "
        "weight's full name, and freezes what none of them matches.",
        _RUN,
        "utils/freeze.py: freeze_layers_except",
    ),
    "saved-modules-absent": Rule(
        "peft trains the modules in `lora_modules_to_save` in full. It looks for their "
        "names, and says nothing of a name that no module has.",
        _RUN,
        "peft, utils/other.py: _set_trainable",
    ),
    "highest-is-best": Rule(
        "Axolotl passes on `greater_is_better` only if it is true. Without it, "
        "transformers takes the highest value of a metric for the best, unless its "
        "name ends in `loss`.",
        _PART,
        f"{_CAUSAL}: HFCausalTrainerBuilder",
    ),
    "entry-key-unread": Rule(
        "Only the types for conversations read these keys of an entry of `datasets`. "
        "Types such as `alpaca` and `completion` read their own columns.",
        _PART,
        "prompt_strategies/__init__.py: load",
    ),
    "rows-padded": Rule(
        "With `pad_to_sequence_len` all rows are as long as the longest that is "
        "allowed. With packing they are filled with samples, without it with padding.",
        _LITTLE,
        "utils/collators/batching.py",
    ),
    "sequence-len-default": Rule(
        "Without `sequence_len` rows of more than 512 tokens are dropped while the "
        "data are prepared.",
        _RUN,
        f"{_SCHEMA}.sequence_len",
    ),
    "max-steps-and-epochs": Rule(
        "`max_steps` takes precedence over `num_epochs`.",
        _LITTLE,
        f"{_SCHEMA}.max_steps",
    ),
    "held-out-all": Rule(
        "Axolotl takes a `val_set_size` up to 1 as a share; `datasets` refuses 1.0.",
        _LATE,
        "utils/data/sft.py: _handle_train_dataset_split",
    ),
    "held-out-most": Rule(
        "`val_set_size` is the share of rows for evaluation, not for training.",
        _RUN,
        "utils/data/sft.py: _handle_train_dataset_split",
    ),
    "evaluation-on-training-rows": Rule(
        "A loss on rows that the model is trained on shows no overfitting.",
        _PART,
        "utils/data/sft.py: _load_raw_datasets",
    ),
    "evaluation-after-run": Rule(
        "Nothing is evaluated after the start if `eval_steps` exceeds the steps.",
        _PART,
        f"{_BASE}: _configure_save_and_eval_strategy",
    ),
    "checkpoint-after-run": Rule(
        "No checkpoint is made before the end if `save_steps` exceeds the steps.",
        _LITTLE,
        f"{_BASE}: _configure_save_and_eval_strategy",
    ),
    "warmup-most": Rule(
        "The learning rate rises during the warmup and falls after it.",
        _RUN,
        f"{_BASE}: _configure_warmup_and_logging",
    ),
    "flash-attention-float32": Rule(
        "Flash attention has no float32. With `bf16` and `fp16` off Axolotl loads the "
        "model in float32.",
        _LATE,
        "utils/config/__init__.py: resolve_dtype",
    ),
    "float16-weights": Rule(
        "With `fp16` and no adapter the trained weights are float16, and torch's "
        "gradient scaler refuses float16 gradients.",
        _LATE,
        "utils/config/__init__.py: resolve_dtype",
    ),
    "format-field": Rule(
        "A user-defined format is filled with `str.format` and two names.",
        _LATE,
        "prompt_strategies/user_defined.py: load",
    ),
    "format-without-prompt": Rule(
        "Without `{instruction}` in the format, the answer alone is in the text.",
        _RUN,
        "prompt_strategies/user_defined.py: load",
    ),
    "roles-none": Rule(
        "Turns are trained on if their role is in `roles_to_train`.",
        _RUN,
        "prompt_strategies/chat_template.py: ChatTemplateStrategy",
    ),
    "roles-without-assistant": Rule(
        "Turns are trained on if their role is in `roles_to_train`.",
        _RUN,
        "prompt_strategies/chat_template.py: ChatTemplateStrategy",
    ),
    "turn-end-off": Rule(
        "A model that never trains on the end of a turn does not learn to stop.",
        _RUN,
        "prompt_strategies/chat_template.py: ChatTemplateStrategy",
    ),
    "turn-end-untrained": Rule(
        "Axolotl trains on the ends of turns that are in `eot_tokens`, by default the "
        "tokenizer's `eos_token`. A template that ends turns with another token needs "
        "`eot_tokens`. The tokens are those of the model's repository.",
        _RUN,
        "prompt_strategies/chat_template.py: _validate_eot_and_eos_tokens",
    ),
    "template-missing": Rule(
        "`type: chat_template` takes the tokenizer's template by default, and base "
        "models often have none.",
        _LATE,
        "utils/chat_templates/base.py: get_chat_template",
    ),
    "template-of-another": Rule(
        "A template's marks are single tokens only for the models that it was made "
        "for.",
        _RUN,
        "prompt_strategies/chat_template.py: ChatTemplatePrompter",
    ),
    "template-unused": Rule(
        "`chat_template` is written into the tokenizer. Types such as alpaca have "
        "their own form.",
        _LITTLE,
        "loaders/tokenizer.py: load_tokenizer",
    ),
    "tools-unwritten": Rule(
        "Some of Axolotl's chat templates write messages alone. Tools and their calls "
        "are left out of the text.",
        _RUN,
        "utils/chat_templates/templates",
    ),
    "special-tokens-untrained": Rule(
        "Tokens under `additional_special_tokens` that the tokenizer does not have get "
        "new rows in the embeddings, which an adapter leaves as they are.",
        _RUN,
        "loaders/tokenizer.py: load_tokenizer",
    ),
    "tokenizer-of-another": Rule(
        "Token ids stand for other text in another tokenizer.",
        _RUN,
        "loaders/tokenizer.py: load_tokenizer",
    ),
    "pairs-swapped": Rule(
        "The names of the columns say the opposite of the fields.",
        _RUN,
        "prompt_strategies/dpo/user_defined.py: default",
    ),
    "answers-alone": Rule(
        "`type: completion` trains on one column, as plain text.",
        _RUN,
        "prompt_strategies/completion.py: load",
    ),
    "first-shard-alone": Rule(
        "`shards` reads the part `shards_idx`, 0 by default, of that many parts.",
        _RUN,
        "utils/data/sft.py: _load_and_process_single_dataset",
    ),
    "type-of-other-data": Rule(
        "The columns of well-known datasets are known by name, and the type of the "
        "entry reads others.",
        _LATE,
        "prompt_strategies",
    ),
    "split-absent": Rule(
        "The splits of well-known datasets are known by name.",
        _LATE,
        "utils/data/shared.py: load_dataset_with_config",
    ),
    "output-over-base": Rule(
        "Checkpoints and the final weights are written to `output_dir`.",
        _RUN,
        "train.py: save_trained_model",
    ),
    "highest-loss-is-best": Rule(
        "With `greater_is_better` the highest value of the metric is the best.",
        _RUN,
        f"{_CAUSAL}: build",
    ),
    "random-weights": Rule(
        "`reinit_weights` builds the model from its config, without its weights.",
        _RUN,
        "loaders/model.py: ModelLoader",
    ),
    "gemma-float16": Rule(
        "Gemma models were trained in bfloat16; their activations overflow float16.",
        _RUN,
        "utils/config/__init__.py: resolve_dtype",
    ),
    "secret-in-clear": Rule(
        "The config is saved in `output_dir`, in checkpoints and by loggers.",
        _LITTLE,
        "train.py: save_initial_configs",
    ),
    "watchdog-below-loss": Rule(
        "The watchdog stops a run whose loss stays above the threshold.",
        _RUN,
        "utils/callbacks/__init__.py: LossWatchDogCallback",
    ),
    "held-out-few": Rule(
        "Axolotl takes a `val_set_size` above 1 as a number of rows.",
        _LITTLE,
        "utils/data/sft.py: _handle_train_dataset_split",
    ),
    "dataset-twice": Rule(
        "Entries with the same rows are both read. A split of the merged rows puts "
        "copies on both sides.",
        _PART,
        "utils/data/shared.py: merge_datasets",
    ),
    "layers-beyond-model": Rule(
        "Patterns and numbers of layers that match none are ignored.",
        _RUN,
        "utils/freeze.py: freeze_layers_except",
    ),
    "tokens-untrained": Rule(
        "New tokens have new rows in the embeddings, which an adapter trains only if "
        "`lora_modules_to_save` lists them. Axolotl requires it.",
        _LATE,
        "loaders/utils.py: check_model_config",
    ),
    "model-gguf": Rule(
        "GGUF files hold quantised weights for inference.",
        _LATE,
        "transformers, AutoModelForCausalLM.from_pretrained",
    ),
    "model-class": Rule(
        "`model_type` names the class that loads the weights. A class of another "
        "model drops weights that it does not know, such as biases.",
        _RUN,
        "loaders/model.py: ModelLoader",
    ),
    "reward-type": Rule(
        "A reward model is trained on pairs and a process reward model on steps. Other "
        "dataset types give other columns.",
        _LATE,
        "utils/data/wrappers.py: get_dataset_wrapper",
    ),
    "vision-packing": Rule(
        "Packed batches have a collator for text. The one for images is used only "
        "without packing.",
        _LATE,
        f"{_CAUSAL}: build_collator",
    ),
    "vision-prepared": Rule(
        "The collator for images reads messages from the rows. Axolotl's page on "
        "multimodal models sets `skip_prepare_dataset: true`.",
        _LATE,
        "processing_strategies.py: ProcessingStrategy",
    ),
    "prequantised-without-adapter": Rule(
        "Quantised weights have no gradients. transformers trains them only with an "
        "adapter.",
        _LATE,
        "transformers, trainer_utils.py: validate_quantization_for_training",
    ),
    "format-as-path": Rule(
        "`path` is a file, a folder or a dataset on the Hub; `ds_type` is the format.",
        _LATE,
        "utils/data/shared.py: load_dataset_with_config",
    ),
    "ends-twice": Rule(
        "`train_on_eos` is for the tokenizer's `eos_token`, `train_on_eot` for "
        "`eot_tokens`. A token in both has two rules, which Axolotl refuses if there "
        "are several `eot_tokens`.",
        _LATE,
        "prompt_strategies/chat_template.py: _validate_eot_and_eos_tokens",
    ),
    "replicas-without-shards": Rule(
        "Tensor and context parallelism are combined with FSDP, not with replicas "
        "alone.",
        _LATE,
        "accelerate, parallelism_config.py: ParallelismConfig",
    ),
    "zero3-non-reentrant": Rule(
        "With ZeRO-3, 4 bits and `use_reentrant: false`, recomputed activations may "
        "differ from the first ones, Axolotl warns; its page on stability warns of "
        "ZeRO-3 in general.",
        _LATE,
        "utils/schemas/validation.py: warn_qlora_zero3_w_use_reentrant",
    ),
    "qat-adapter": Rule(
        "`qat` quantises the base weights while they are trained. With an adapter they "
        "are frozen, and Axolotl's support matrix lists the two as incompatible.",
        _RUN,
        "loaders/model.py: ModelLoader",
    ),
    "two-losses": Rule(
        "Both plugins replace the forward pass of the model when it is loaded.",
        _LITTLE,
        "integrations/cut_cross_entropy/__init__.py: CutCrossEntropyPlugin",
    ),
    "decay-adapter": Rule(
        "Axolotl's page on stability advises against a weight decay above 0.1 for "
        "adapters.",
        _LITTLE,
        "docs/training_stability.qmd",
    ),
    "fp8-without-compile": Rule(
        "Axolotl's page on mixed precision says that fp8 needs `torch_compile` to gain "
        "speed.",
        _LITTLE,
        "docs/mixed_precision.qmd",
    ),
    "adamc-constant": Rule(
        "AdamC multiplies weight decay by the ratio of the current to the highest "
        "learning rate, which is 1 under a constant one.",
        _LITTLE,
        "docs/optimizers.qmd",
    ),
    "packing-without-separation": Rule(
        "With sample packing a row holds several samples. Only some attention "
        "implementations keep them apart; with others each sample also attends to "
        "those before it in the row.",
        _RUN,
        f"{_SCHEMA}.attn_decontaminates_packing",
    ),
    "lora-without-adapter": Rule(
        "Axolotl reads the `lora_*` keys only with `adapter: lora` or `qlora`. Without "
        "it, it trains all weights of the model.",
        _RUN,
        "loaders/model.py: ModelLoader",
    ),
    "best-model-off": Rule(
        "Axolotl turns `load_best_model_at_end` off unless there are rows to evaluate "
        "and `save_steps` is a multiple of `eval_steps`; strategies by epoch do not "
        "count.",
        _RUN,
        f"{_CAUSAL}: build",
    ),
    "early-stopping-no-evaluation": Rule(
        "The early stopping callback of transformers ends the run in an error if "
        "nothing is evaluated.",
        _LATE,
        "transformers, trainer_callback.py: EarlyStoppingCallback",
    ),
    "evaluation-without-data": Rule(
        "A cadence of evaluation is set, but no rows are held out: Axolotl turns "
        "evaluation off.",
        _PART,
        f"{_BASE}: _configure_save_and_eval_strategy",
    ),
    "evaluation-without-cadence": Rule(
        "Rows are held out from training, but nothing says when to evaluate on them, "
        "and the default is never.",
        _PART,
        f"{_BASE}: _configure_save_and_eval_strategy",
    ),
    "evaluation-once": Rule(
        "Axolotl turns `evals_per_epoch` into a share of the run, and uses it only if "
        "the share is below 1. One evaluation in the whole run is dropped.",
        _PART,
        "utils/config/__init__.py: normalize_config",
    ),
    "constant-warmup": Rule(
        "The schedule `constant` has no warmup. `constant_with_warmup` has.",
        _PART,
        "transformers, optimization.py: get_scheduler",
    ),
    "warmup-exceeds-run": Rule(
        "The learning rate rises over the warmup's steps. If the run has no more steps "
        "than that, it never reaches `learning_rate`.",
        _RUN,
        f"{_BASE}: _configure_warmup_and_logging",
    ),
    "resume-without-optimizer": Rule(
        "With `save_only_model` checkpoints hold no optimizer and no schedule. A run "
        "that resumes from one starts both anew.",
        _PART,
        "transformers, trainer.py: Trainer",
    ),
    "checkpoints-deleted": Rule(
        "Axolotl sets `save_total_limit: 4` if it is not set: older checkpoints are "
        "deleted.",
        _PART,
        f"{_BASE}: _configure_save_and_eval_strategy",
    ),
    "hub-without-save": Rule(
        "`hub_model_id` uploads the model when a checkpoint is saved, and none is.",
        _RUN,
        "utils/schemas/validation.py: check_push_save",
    ),
    "deepspeed-and-fsdp-config": Rule(
        "Axolotl refuses `deepspeed` with `fsdp`, but not with `fsdp_config`: it hands "
        "both to the trainer and prepares the environment for FSDP alone.",
        _RUN,
        f"{_CAUSAL}: build",
    ),
    "layer-class": Rule(
        "FSDP wraps the layers of this class. A model without such a layer ends the "
        "run when the trainer starts.",
        _LATE,
        "accelerate, utils/dataclasses.py: set_auto_wrap_policy",
    ),
    "targets-absent": Rule(
        "peft puts adapters on the layers whose names match, and ignores names that "
        "match none as long as one does.",
        _RUN,
        "peft, tuners/tuners_utils.py: inject_adapter",
    ),
    "experts-without-adapters": Rule(
        "Since transformers 5 the experts of a layer are one parameter. "
        "`lora_target_linear` finds linear layers, and so none of the experts.",
        _RUN,
        "loaders/adapter.py: find_all_linear_names",
    ),
    "targets-missing": Rule(
        "Axolotl gives peft an empty list of layers if no key names any, and peft has "
        "no default for an empty list.",
        _LATE,
        "loaders/adapter.py: load_lora",
    ),
    "targets-none": Rule(
        "peft ends the run if none of the names matches a layer of the model.",
        _LATE,
        "peft, tuners/tuners_utils.py: inject_adapter",
    ),
    "beyond-positions": Rule(
        "`max_position_embeddings` in the model's config.json is the longest sequence "
        "it was made for. Beyond it the model's output degrades.",
        _RUN,
        "transformers, the model's config.json",
    ),
    "eval-batch-larger": Rule(
        "Evaluation runs with its own batch size, and needs memory for the logits of "
        "that many rows.",
        _LATE,
        "utils/schemas/validation.py: hint_eval_train_mbsz",
    ),
    "trackio-pinned": Rule(
        "Axolotl 0.19.0 pins trackio 0.19.0 and transformers 5.16.1, whose callback "
        "calls `trackio.init` with an argument that only newer versions take.",
        _START,
        "transformers, integrations/integration_utils.py: TrackioCallback.setup",
    ),
    "eval-batch-ignored": Rule(
        "Axolotl packs an evaluation into batches of `micro_batch_size` sequences. "
        "`eval_batch_size` applies only without packing.",
        _LATE,
        "core/trainers/base.py: _create_multipack_sampler",
    ),
    "deepspeed-own-scheduler": Rule(
        "A scheduler or optimizer in DeepSpeed's file replaces the one in the config.",
        _RUN,
        "transformers, integrations/deepspeed.py",
    ),
    "batch-size-ignored": Rule(
        "Axolotl derives the accumulation from `gradient_accumulation_steps`, whose "
        "default is 1; `batch_size` alone changes nothing.",
        _RUN,
        "utils/config/__init__.py: normalize_config",
    ),
    "batch-size-of-block": Rule(
        "The plugin derives the accumulation from `sftguide.effective_batch_size`.",
        _START,
        own=True,
    ),
    "packed-samples": Rule(
        "With packing a step holds more samples than rows.",
        _LITTLE,
        "utils/samplers/multipack.py: MultipackBatchSampler",
        general=True,
    ),
    "mean-of-means": Rule(
        "Axolotl averages the micro batches' mean losses, so tokens in micro batches "
        "with few trained tokens weigh more.",
        _LITTLE,
        "core/trainers/base.py: AxolotlTrainer",
        general=True,
    ),
    "warmup-one": Rule(
        "Axolotl raises a warmup of 1 step to 2.",
        _LITTLE,
        f"{_BASE}: _configure_warmup_and_logging",
    ),
    "warmup-none": Rule(
        "A ratio of the run's steps that is less than one step is no warmup.",
        _PART,
        f"{_BASE}: _configure_warmup_and_logging",
    ),
    "warmup-default": Rule(
        "Without `warmup_steps` and `warmup_ratio` Axolotl warms up over 3% of the "
        "steps, at most 100.",
        _LITTLE,
        f"{_BASE}: _configure_warmup_and_logging",
        general=True,
    ),
    "no-seed": Rule(
        "Axolotl's default of 42 applies to an empty `seed:`, not to a missing one. "
        "Without it the data are shuffled differently each time they are prepared.",
        _LITTLE,
        "utils/schemas/validation.py: set_default_seed",
        general=True,
    ),
    "unseeded-adapter": Rule(
        "Axolotl initialises an adapter's weights before it seeds the generators.",
        _LITTLE,
        "train.py: setup_model_and_trainer",
        general=True,
    ),
    "unshuffled-split": Rule(
        "`val_set_size` splits off rows of the merged data; without shuffling these "
        "are the last.",
        _PART,
        "utils/data/shared.py: create_train_validation_split",
    ),
    "kernels-on-cpu": Rule(
        "Axolotl turns its Triton kernels for adapters on if none of their keys is "
        "set. They need CUDA.",
        _LATE,
        f"{_SCHEMA}.check_auto_enable_lora_kernels",
    ),
    "fused-loss-unsupported": Rule(
        "Liger has no fused loss for models that scale their logits.",
        _LATE,
        "integrations/liger/plugin.py: LigerPlugin",
    ),
    "clipping-off": Rule(
        "With `max_grad_norm: 0` transformers only measures the norm, by clipping at "
        "infinity. Gradients stay as they are; a norm that overflows makes all NaN.",
        _LITTLE,
        "transformers, trainer.py: _get_grad_norm",
    ),
    "watchdog-counts-logs": Rule(
        "The watchdog's patience counts steps, but it sees the loss of the last log.",
        _PART,
        "utils/callbacks/__init__.py: LossWatchDogCallback",
    ),
    "deprecated-attention": Rule(
        "The older keys that choose an attention still work and will be removed.",
        _LITTLE,
        f"{_SCHEMA}.normalize_attn_implementation",
        general=True,
    ),
    "packing-sdpa-bf16": Rule(
        "Axolotl warns that packing with sdpa and bf16 may give a loss of 0.0 before "
        "Hopper.",
        _PART,
        "utils/schemas/config.py: check_sample_packing_w_sdpa_bf16",
    ),
    "trained-prompts": Rule(
        "Some dataset types train on prompts too with `train_on_inputs`.",
        _LITTLE,
        "prompt_tokenizers.py: InstructionPromptTokenizingStrategy",
    ),
    "other-training": Rule("Advice on SFT does not apply to it.", _LITTLE),
    "placeholders": Rule("A script fills in some values later.", _LITTLE),
    "other-file": Rule("The file configures another program.", _LITTLE),
    "unknown-ignore": Rule(
        "A comment silences an id that does not exist.", _LITTLE, own=True
    ),
    "own-block": Rule(
        "The plugin validates its block when the run starts.", _START, own=True
    ),
    "patience-without-evaluation": Rule(
        "The rule `evaluation` counts the host's own evaluations.", _PART, own=True
    ),
    "own-block-name": Rule("The block is not read under this name.", _RUN, own=True),
    "own-plugin-missing": Rule(
        "Axolotl drops the block unless the plugin is listed.", _RUN, own=True
    ),
    "mix-and-datasets": Rule(
        "The plugin makes `datasets` from the mix.", _START, own=True
    ),
    "rate-adapter-low": Rule("Adapters need higher rates than full models.", _RUN),
    "rate-adapter-high": Rule("Adapters diverge at very high rates.", _RUN),
    "rate-full-high": Rule("No study of full fine-tuning used such a rate.", _RUN),
    "rate-extreme": Rule("Adam diverges at such rates with any model.", _RUN),
    "batch-adapter-large": Rule("Adapters lose quality in large batches.", _PART),
    "batch-large-few-rows": Rule("A large batch leaves few steps.", _PART),
    "batch-small-many-rows": Rule("Larger batches scored better.", _LITTLE),
    "beta2-small-batch": Rule(
        "With few samples per step Adam needs a higher `adam_beta2`, so that squared "
        "gradients are averaged over as many tokens as with large batches.",
        _PART,
    ),
    "epochs-many": Rule("Small data need 2 or 3 epochs.", _LITTLE),
    "adapter-attention-only": Rule("The MLP's adapters matter most.", _PART),
    "adapter-scale": Rule("The adapter's updates are scaled by alpha / rank.", _LITTLE),
    "data-unreadable": Rule("Axolotl cannot prepare data with such rows.", _LATE),
    "data-unprepared": Rule(
        "Axolotl prepares all rows before it loads the model.",
        _LATE,
        "utils/data/sft.py: prepare_datasets",
    ),
    "data-odd-rows": Rule("A chat template does not take such conversations.", _PART),
    "data-stale": Rule("Axolotl reuses prepared data of an earlier version.", _RUN),
    "data-untrained": Rule("Rows without a trained token teach nothing.", _RUN),
    "data-unended": Rule(
        "A model that never trains on the end of a turn does not learn to stop. The "
        "default `train_on_eos: turn` trains on `eos_token`; a template that ends "
        "turns with another token needs `eot_tokens`.",
        _RUN,
        "prompt_strategies/chat_template.py: ChatTemplateStrategy",
    ),
    "data-plain-marks": Rule("A mark of the template is not one token.", _RUN),
    "data-system-unwritten": Rule(
        "Some chat templates write the system message before a last user message only. "
        "A row for training ends with an answer, so that its system message is lost.",
        _PART,
        "utils/chat_templates/templates/mistral_v2v3.jinja",
    ),
    "data-double-start": Rule("Template and tokenizer both add the BOS token.", _PART),
    "data-too-long": Rule("Rows longer than `sequence_len` are dropped.", _PART),
    "data-repeated": Rule("Rows occur more than once.", _LITTLE),
    **{
        rule.id: Rule(
            f"{rule.problem.replace('{value}', 'the value given')}. Axolotl's own "
            "validation refuses the config.",
            _START,
            rule.host,
        )
        for rule in REFUSALS
    },
}
