// The Learn page: one element per chapter.
import { mount } from "./common.js";
import { LearnBeta } from "./learn_beta.js";
import { LearnFlow } from "./learn_flow.js";
import { LearnPixel, LearnReductions } from "./learn_loss.js";
import { LearnNoise } from "./learn_noise.js";
import { LearnPlain } from "./learn_plain.js";

const LEARN_CHAPTERS = { flow: LearnFlow, noise: LearnNoise, beta: LearnBeta, plain: LearnPlain, reductions: LearnReductions, pixel: LearnPixel };

export const mountLearn = (args) => mount(LEARN_CHAPTERS[args.data.chapter], args);
