source("common.R")
suppressMessages(library(survey))
set.seed(5)
n <- 120
d <- data.frame(x = round(rnorm(n), 3), z = rbinom(n, 1, .5))
d$linear <- round(.4 * d$x + d$z + rnorm(n), 3); d$binary <- rbinom(n, 1, plogis(.5 * d$x))
d$ordinal <- pmin(3, pmax(0, round(1.5 + .6 * d$x + rnorm(n)))); d$w <- round(runif(n, .3, 3), 3)
d$ordered <- factor(d$ordinal)
design <- svydesign(~1, weights = ~w, data = d)
one <- function(m, k) list(estimate = unname(coef(m)[k]), se = unname(sqrt(diag(vcov(m)))[k]))
fits <- list(linear = one(svyglm(linear ~ x, design), 2),
             binary = one(svyglm(binary ~ x, design, family = quasibinomial, control = glm.control(epsilon = 1e-14)), 2),
             ordinal = one(svyolr(ordered ~ x, design), 1))
write_cases(c(list(data = as.list(d[, c("x", "linear", "binary", "ordinal", "w")])), fits), "selection")
