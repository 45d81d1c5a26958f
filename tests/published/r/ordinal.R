source("common.R")
suppressMessages({library(MASS); library(ordinal); library(VGAM); library(sandwich); library(rms)})
set.seed(4)
tight <- clm.control(gradTol = 1e-12, maxIter = 200L)

fit_case <- function(d, f, weights = NULL) {
  d$w <- if (is.null(weights)) rep(1, nrow(d)) else weights
  m <- clm(f, data = d, weights = w, control = tight)
  list(data = columns(d), terms = names(m$beta), thresholds = unname(m$alpha), beta = unname(m$beta),
       se = unname(sqrt(diag(vcov(m)))), loglik = as.numeric(logLik(m)), aic = AIC(m),
       predicted = matrix(predict(m, newdata = d[1:3, setdiff(names(d), "y")])$fit, 3))
}
n <- 90; site <- rep(1:9, c(2, 4, 6, 8, 10, 12, 14, 15, 19))
d <- data.frame(age = round(rnorm(n, 68, 12), 1), volume = round(exp(rnorm(n, 2)), 2), nihss = rpois(n, 5),
                sex = factor(sample(c("F", "M"), n, TRUE)), site = site, reader = sample(1:30, n, TRUE))
latent <- 0.03 * d$age + 0.5 * log(d$volume + 1) + 0.1 * d$nihss + rnorm(9, 0, .5)[site] + rlogis(n)
d$y <- factor(findInterval(latent, quantile(latent, c(.15, .4, .55, .7, .85, .95))), ordered = TRUE)
f <- y ~ age + volume + nihss + sex
main <- fit_case(d, f)
p <- polr(f, d, Hess = TRUE, control = list(reltol = 1e-14, maxit = 1000))
main$polr <- list(beta = unname(coef(p)), thresholds = unname(p$zeta), se = unname(summary(p)$coefficients[1:4, 2]))
# sandwich on clm at a tight tolerance; its bread is the observed information
m <- clm(f, data = d, control = tight); k <- length(m$alpha)
se <- function(v) unname(sqrt(diag(v)))
main$HC0 <- se(sandwich::sandwich(m)); main$cluster <- se(vcovCL(m, cluster = d$site, type = "HC1"))
main$CR1 <- se(vcovCL(m, cluster = d$site, type = "HC0"))
main$CR0 <- se(vcovCL(m, cluster = d$site, type = "HC0", cadjust = FALSE))
main$two_way <- se(vcovCL(m, cluster = data.frame(d$site, d$reader), type = "HC0", cadjust = FALSE))
l <- lrm(f, d, x = TRUE, y = TRUE, tol = 1e-14, eps = 1e-12, maxit = 100)
main$robcov <- unname(sqrt(diag(vcov(robcov(l, d$site))))[-(1:k)])
main$c_index <- rcorr.cens(l$linear.predictors, as.numeric(d$y))[["C Index"]]
main$penalised <- unname(coef(lrm(y ~ age + volume + nihss, d, penalty = 3, tol = 1e-14, eps = 1e-12, maxit = 100))[-(1:k)])
profile_end <- function(name, side) {
  s <- sqrt(vcov(m)[name, name]); rest <- update(f, paste(". ~ . -", name)); x <- d[[name]]
  drop <- function(v) { d$o <- v * x
    2 * (logLik(m) - logLik(clm(update(rest, . ~ . + offset(o)), data = d, control = tight))) - qchisq(.95, 1) }
  uniroot(drop, sort(m$beta[[name]] + side * s * c(.5, 4)), tol = 1e-11)$root
}
main$profile <- list(age = c(profile_end("age", -1), profile_end("age", 1)),
                     nihss = c(profile_end("nihss", -1), profile_end("nihss", 1)))
small <- clm(y ~ age, data = d, control = tight)
lr <- anova(small, m); main$likelihood_ratio <- c(lr$LR.stat[2], lr$df[2], lr$`Pr(>Chisq)`[2])

# Brant 1990 from its formulas: binary regressions at each cut-point and their joint covariance
brant <- function(d, f) {
  X <- model.matrix(f, d); y <- as.integer(d$y); cuts <- 1:(max(y) - 1); p <- ncol(X) - 1
  fits <- lapply(cuts, function(c) glm.fit(X, as.numeric(y > c), family = binomial(), control = glm.control(1e-14, 100)))
  pi <- sapply(fits, fitted); W <- function(v) solve(crossprod(X, X * v))
  V <- matrix(0, p * length(cuts), p * length(cuts))
  for (a in cuts) for (b in cuts) { lo <- min(a, b); hi <- max(a, b)
    v <- W(pi[, a] * (1 - pi[, a])) %*% crossprod(X, X * (pi[, hi] - pi[, lo] * pi[, hi])) %*% W(pi[, b] * (1 - pi[, b]))
    V[(a - 1) * p + 1:p, (b - 1) * p + 1:p] <- v[-1, -1] }
  beta <- unlist(lapply(fits, function(g) g$coefficients[-1]))
  test <- function(j) { pick <- as.vector(outer(j, (cuts - 1) * p, "+")); q <- length(j)
    D <- cbind(kronecker(rep(1, length(cuts) - 1), diag(q)), -diag(q * (length(cuts) - 1)))
    x2 <- drop(t(D %*% beta[pick]) %*% solve(D %*% V[pick, pick] %*% t(D)) %*% (D %*% beta[pick]))
    c(x2, nrow(D), pchisq(x2, nrow(D), lower.tail = FALSE)) }
  rbind(test(1:p), t(sapply(1:p, test)))
}
d3 <- d; d3$y <- factor(pmin(as.integer(d$y), 4), ordered = TRUE)
main$brant <- list(levels = as.integer(d3$y), rows = brant(d3, ~age + volume + nihss + sex))

# Partial proportional odds of four levels; vglm cannot fit the second, whose cut-points nearly cross
d3$y <- factor(as.integer(d3$y), ordered = TRUE)
partial_case <- function(m) list(loglik = as.numeric(logLik(m)), coef = as.list(coef(m)), se = as.list(sqrt(diag(vcov(m)))))
partial <- list(
  vglm = partial_case(vglm(y ~ age + nihss + sex, cumulative(parallel = FALSE ~ sex), d3, epsilon = 1e-12)),
  clm = partial_case(clm(y ~ age + nihss, nominal = ~sex, data = d3, control = tight)),
  crossing = partial_case(clm(y ~ age + sex, nominal = ~nihss, data = d3, control = tight)))

# A level that is rare, zero cells, many levels, frequencies, few rows
zero <- data.frame(arm = rep(0:1, each = 6), y = factor(rep(0:5, 2), ordered = TRUE))
counts <- c(9, 0, 7, 3, 0, 4, 3, 5, 0, 6, 8, 9)
zero_cells <- fit_case(zero[counts > 0, ], y ~ arm, counts[counts > 0])
ten <- d; ten$y <- factor(findInterval(latent, quantile(latent, seq(.04, .96, .08))), ordered = TRUE)
many_levels <- fit_case(ten, y ~ age + volume)
few <- d[seq(1, 90, 5), ]; few$y <- factor(pmin(as.integer(few$y), 3), ordered = TRUE)
few_rows <- fit_case(few, y ~ nihss)
interaction <- fit_case(d3, y ~ age * sex + nihss)
two_levels <- d; two_levels$y <- factor(as.integer(d$y) > 3, ordered = TRUE)
two_levels$y <- factor(as.integer(two_levels$y) - 1, ordered = TRUE)
two <- fit_case(two_levels, y ~ age + nihss)

write_cases(list(main = main, partial = partial, zero_cells = zero_cells, many_levels = many_levels,
                 few_rows = few_rows, interaction = interaction, two_levels = two), "ordinal")
